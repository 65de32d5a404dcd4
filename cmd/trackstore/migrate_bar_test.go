package main

import (
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// What a run shows has the bytes of about how many, and the failures; where the objects are there already, nothing goes by the
// network, and the rate is that of what is done.
func TestProgressOfARun(t *testing.T) {
	t.Parallel()
	r := newMoveReport(&migration{console: &console{stdout: t.Output(), stderr: t.Output()}}, false)
	r.begin(10)
	r.since, r.last = r.since.Add(-2*time.Second), time.Now() // no line now
	for range 4 {
		r.Settled(migrate.Settlement{Outcome: track.Outcome{Result: track.NewObject{Digest: track.Digest{Size: 1 << 20}}}, Verdict: track.Settled})
	}
	r.Settled(migrate.Settlement{Outcome: track.Outcome{Result: track.Failure{Kind: track.Missing, Err: track.ErrNotFound}}, Verdict: track.Settled})
	if got, want := r.progress(), "5 of 10 tracks  1 failed  4.0 MiB of about 8.0 MiB  2.0 MiB/s  2s left"; got != want {
		t.Errorf("%q, not %q", got, want)
	}
}
