package main

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/dustin/go-humanize"

	"trackstore/shared/track"
)

// size is a flag's number of bytes, such as 50MiB.
type size int64

// UnmarshalText reads a size of at least 1 byte.
func (s *size) UnmarshalText(b []byte) error {
	n, err := humanize.ParseBytes(strings.TrimSuffix(strings.TrimSuffix(string(b), "/s"), "ps"))
	if err != nil || n < 1 || n > math.MaxInt64 {
		return fmt.Errorf("%q is not a size such as 50MiB", b)
	}
	*s = size(n)
	return nil
}

// share is a flag's percentage, such as 5%, as a number from 0 to 1.
type share float64

// UnmarshalText reads a percentage over 0 and up to 100.
func (s *share) UnmarshalText(b []byte) error {
	text, found := strings.CutSuffix(string(b), "%")
	p, err := strconv.ParseFloat(text, 64)
	if !found || err != nil || !(p > 0 && p <= 100) {
		return fmt.Errorf("%q is not a share such as 5%%, over 0%% and up to 100%%", b)
	}
	*s = share(p / 100)
	return nil
}

// trackIDs is a flag's list of ids, with commas between them. It is never empty: of a
// variable that is not set, "all tracks" would come.
type trackIDs []track.ID

// UnmarshalText adds ids to the list.
func (ids *trackIDs) UnmarshalText(b []byte) error {
	for text := range strings.SplitSeq(string(b), ",") {
		id, err := track.ParseID(text)
		if err != nil {
			return err
		}
		*ids = append(*ids, id)
	}
	return nil
}

// whichTracks are the flags that narrow a command down.
type whichTracks struct {
	Track trackIDs `placeholder:"ID,..." help:"Only this track; may be given several times."`
}

// locate refuses tracks that do not exist, and splits the rest by whether they are already
// on the backend that they are to be moved to.
func (w whichTracks) locate(ctx context.Context, m *migration, target string) (toMove, there []track.ID, err error) {
	if len(w.Track) == 0 {
		return nil, nil, nil
	}
	located, err := m.ledger.Locate(ctx, w.Track)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range w.Track {
		switch backend, known := located[id]; {
		case !known:
			return nil, nil, fmt.Errorf("--track %s: there is no such track, or it is deleted", id)
		case backend == target:
			there = append(there, id)
		default:
			toMove = append(toMove, id)
		}
	}
	return toMove, there, nil
}
