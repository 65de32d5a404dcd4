package migrate

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

// each calls check for those of the tracks that want says, as many at once as pay off.
func each(
	ctx context.Context, tracks iter.Seq2[track.Copies, error], want func(track.Copies) bool,
	check func(context.Context, track.Copies) error,
) error {
	slots := newSlots(AsManyAsPay)
	group, checking := errgroup.WithContext(ctx)
	for copies, err := range tracks {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		if !want(copies) {
			continue
		}
		if slots.acquire(checking) != nil {
			break
		}
		group.Go(func() error {
			throttled, began := false, time.Now()
			err := patiently(checking, firstBackoff, func() (err error) {
				err = check(checking, copies)
				throttled = throttled || errors.Is(err, track.ErrThrottled)
				return err
			})
			slots.release(time.Since(began), throttled)
			return err
		})
	}
	return errors.Join(group.Wait(), ctx.Err())
}

// floor knows up to which track all are done, of tracks that are begun in the order of their ids and end in any.
type floor struct {
	tell func(track.ID)

	mu    sync.Mutex
	after track.ID
	begun []track.ID            // that are not done, or behind one that is not
	ended map[track.ID]struct{} // of these
}

func newFloor(after track.ID, tell func(track.ID)) *floor {
	return &floor{tell: tell, after: after, ended: map[track.ID]struct{}{}}
}

// watch notes the tracks that are yielded as begun.
func (f *floor) watch(tracks iter.Seq2[track.Copies, error]) iter.Seq2[track.Copies, error] {
	return func(yield func(track.Copies, error) bool) {
		for c, err := range tracks {
			if err == nil {
				f.mu.Lock()
				f.begun = append(f.begun, c.TrackID)
				f.mu.Unlock()
			}
			if !yield(c, err) {
				return
			}
		}
	}
}

// done notes the end of one.
func (f *floor) done(id track.ID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended[id] = struct{}{}
	was := f.after
	for len(f.begun) > 0 {
		if _, ended := f.ended[f.begun[0]]; !ended {
			break
		}
		f.after = f.begun[0]
		delete(f.ended, f.after)
		f.begun = f.begun[1:]
	}
	if f.tell != nil && f.after != was {
		f.tell(f.after)
	}
}

func (f *floor) reached() track.ID {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.after
}
