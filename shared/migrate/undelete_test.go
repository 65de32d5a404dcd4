package migrate_test

import (
	"context"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// A track is deleted while it is moved, and undeleted. What was noted of the copy is due to
// the sweep long after that, and the track moves all the same, each way.
func TestAnUndeletedTrackMovesAfterASweep(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const grace = time.Hour
	old := content(1, 100)
	id := r.add("x.wav", old)
	for _, mover := range []migrate.Mover{r.upload(), r.restore()} {
		d := mover.Direction()
		r.turn(d)
		claims, err := r.Store.Claim(t.Context(), track.ClaimSpec{Direction: d, Token: track.NewID(), For: time.Hour, Limit: 1})
		if err != nil || len(claims.Leases) != 1 {
			t.Fatalf("%+v, %v", claims, err)
		}
		moved, err := mover.Move(t.Context(), claims.Leases[0])
		if err != nil {
			t.Fatal(err)
		}
		r.Exec(`UPDATE tracks SET deleted_at = now() WHERE id = $1`, id)
		verdicts, err := r.Store.Settle(t.Context(), d, []track.Outcome{{Lease: claims.Leases[0], Result: moved}})
		if err != nil || verdicts[0].Verdict != track.Superseded {
			t.Fatalf("%+v, %v", verdicts, err)
		}
		r.Exec(`UPDATE tracks SET deleted_at = NULL WHERE id = $1`, id)

		r.Exec(`UPDATE track_discards SET discarded_at = discarded_at - $1::interval`, grace)
		r.sweepDiscards(grace)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_, err = runner(r.Store, mover).Run(ctx, job())
		cancel()
		if err != nil {
			t.Fatalf("%s: %v", d, err)
		}
		r.holds(id, d.Backend(), old)
		if d == track.ToS3 {
			r.remove("x.wav")
		}
	}
}

// sweepDiscards does what a sweep does with what is due to it.
func (r *rig) sweepDiscards(grace time.Duration) {
	r.Helper()
	remove := map[string]func(context.Context, string) error{track.S3: r.S3.Delete, track.Local: r.Disk.Delete}
	for backend, remove := range remove {
		due, err := r.Store.DueDiscards(r.Context(), backend, grace, track.Discard{}, 100)
		if err != nil {
			r.Fatal(err)
		}
		marked, err := r.Store.MarkDiscards(r.Context(), due, make([][]string, len(due)), grace, false)
		if err != nil {
			r.Fatal(err)
		}
		for _, d := range due {
			if !marked[d.ID] {
				continue
			}
			if err := remove(r.Context(), d.Key); err != nil {
				r.Fatal(err)
			}
			if err := r.Store.DiscardsGone(r.Context(), []track.Discard{d}); err != nil {
				r.Fatal(err)
			}
		}
	}
}
