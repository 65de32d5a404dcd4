package migrate_test

import (
	"fmt"
	"net/url"
	"testing"

	"trackstore/shared/track"
)

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

func TestRunMovesEveryTrackOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := map[track.ID][]byte{}
	for i := range 250 {
		c := content(i, 1000+i)
		want[r.add(fmt.Sprintf("audio/%d.wav", i), c)] = c
	}
	large := content(7, 40<<20+123)
	want[r.add("audio/large.flac", large)] = large

	summary, seen := r.run(r.upload(), job())
	if summary.Claimed != len(want) || summary.Migrated != len(want) || !summary.Done || summary.Remaining != 0 {
		t.Errorf("%+v", summary)
	}
	if len(seen.all) != len(want) {
		t.Errorf("%d results for %d tracks", len(seen.all), len(want))
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
	}
	r.settled()

	again, _ := r.run(r.upload(), job())
	if again.Claimed != 0 || !again.Done {
		t.Errorf("a second run: %+v", again)
	}
}
