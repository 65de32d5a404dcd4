package track_test

import (
	"slices"
	"testing"

	"trackstore/shared/track"
)

// Ids of tracks that come at one time are spread, as keys of S3 are to be; of each first byte they grow with time.
func TestTrackIDsAreSpreadAndGrow(t *testing.T) {
	t.Parallel()
	of := map[byte][]track.ID{}
	for range 100 * 256 {
		id := track.NewTrackID()
		if again, err := track.ParseID(id.String()); err != nil || again != id || id[6]>>4 != 8 || id[8]>>6 != 2 {
			t.Fatalf("%s is no version 8 UUID: %v", id, err)
		}
		of[id[0]] = append(of[id[0]], id)
	}
	if len(of) != 256 {
		t.Errorf("the ids begin with %d different bytes", len(of))
	}
	for first, ids := range of {
		if len(ids) > 250 {
			t.Errorf("%d of %d ids begin with %02x", len(ids), 100*256, first)
		}
		// 60 bits of time, then what is random.
		times := func(a, b track.ID) int { return slices.Compare(a[1:7], b[1:7]) }
		if !slices.IsSortedFunc(ids, times) {
			t.Errorf("the ids that begin with %02x do not grow", first)
		}
	}
}
