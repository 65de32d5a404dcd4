package migrate

import (
	"context"
	"time"

	"trackstore/shared/track"
)

// claimBatch is how many tracks one statement claims, at most.
const claimBatch = 100

// claimAll hands leases out until nothing is claimable or leased any more, or until stop
// ends. It walks all tracks again and again: what another process held or a user changed
// meanwhile comes up in the next pass.
func (r *run) claimAll(stop context.Context, leases chan<- []track.Lease) error {
	var walk walk
	var lull lull
	claimed := 0
	for {
		if walk.isOver() {
			if err := r.beginWalk(stop, &walk); err != nil || stop.Err() != nil {
				return err
			}
		}
		limit := min(claimBatch, 4*r.slots.size()) // what is claimed here, other processes do not get
		limit = min(limit, r.job.Limit-claimed)
		if limit <= 0 {
			return nil
		}
		claims, err := r.claim(stop, walk.next(), limit)
		if stop.Err() != nil {
			// Even one that came back: it is held, so it is given back.
			return nil
		}
		if err != nil {
			return err
		}
		claimed += len(claims.Leases)
		select {
		case leases <- claims.Leases:
		case <-stop.Done():
			return nil
		}
		if walk.cameTo(claims); !walk.isOver() {
			continue
		}
		again, err := r.anotherPass(stop, &lull)
		if !again || err != nil {
			return err
		}
	}
}

// beginWalk begins another pass. The tracks of a selection are few, and are claimed as they are.
func (r *run) beginWalk(stop context.Context, w *walk) error {
	if len(r.job.TrackIDs) > 0 {
		*w = newWalk([]track.Stretch{{}})
		return nil
	}
	err := patiently(stop, r.job.Backoff, func() error {
		stretches, err := r.Ledger.Stretches(stop, r.Mover.Direction())
		*w = newWalk(stretches)
		return err
	})
	if stop.Err() != nil {
		return nil
	}
	return err
}

// lull is a time in which nothing is to be claimed.
type lull struct {
	waitingSince time.Time // for the leases of others; zero: no
	isIdle       bool      // at the last look nobody had a lease
}

// claim leases up to limit tracks of a stretch under a token of their own.
func (r *run) claim(stop context.Context, from track.Stretch, limit int) (claims track.Claims, err error) {
	spec := track.ClaimSpec{
		Direction: r.Mover.Direction(), Selection: r.job.Selection,
		Stretch: from, Token: track.NewID(), For: r.job.Lease, Limit: limit,
	}
	// A stop does not cut it off at once: what it has leased by then is to be given back.
	claiming, cancel := context.WithCancel(context.WithoutCancel(stop))
	defer cancel()
	defer context.AfterFunc(stop, func() { time.AfterFunc(lastClaim, cancel) })()
	err = patiently(stop, r.job.Backoff, func() error {
		// A claim whose answer was lost leaves leases that nobody holds; they run out. Its
		// repetition finds them taken and goes on behind them, and a later pass gets them.
		claims, err = r.Ledger.Claim(claiming, spec)
		return err
	})
	r.held.add(claims.Leases)
	r.count(func(s *Summary) { s.Claimed += len(claims.Leases) })
	if len(claims.Leases) > 0 {
		r.Observer.Claimed(len(claims.Leases))
	}
	return claims, err
}

// anotherPass waits for what may still become claimable: own tracks in flight, which a
// user may have replaced, and the leases of other processes, which may die, or which end
// with a track moved the other way when the direction has just changed.
func (r *run) anotherPass(stop context.Context, lull *lull) (bool, error) {
	for r.held.size() > 0 {
		if r.held.size() == r.keptBack() {
			if err := r.judge(); err != nil {
				return false, err
			}
		}
		if pause(stop, time.Millisecond) != nil {
			return false, nil
		}
	}
	// A file that comes after the first pass, and has to rest, is for the next run: where new ones
	// come all the time, this one would have no end.
	r.isLate.Store(true)
	gotSome := r.ended.Swap(0) > 0
	if gotSome {
		lull.waitingSince = time.Time{}
	}
	var freed int64
	var activity track.Activity
	err := patiently(stop, r.job.Backoff, func() (err error) {
		if freed, err = r.Ledger.ForgetDead(stop); err != nil {
			return err
		}
		activity, err = r.Ledger.Activity(stop, r.job.TrackIDs)
		return err
	})
	switch {
	case stop.Err() != nil:
		return false, nil
	case err != nil:
		return false, err
	case activity.Direction != r.Mover.Direction():
		return false, ErrDirectionChanged
	case gotSome, freed > 0, activity.Leased == 0:
		// A lease of others may have ended after the last claim and before this look: one more pass, unless this one began with
		// nobody at work, and came to nothing.
		isOver := lull.isIdle && !gotSome && freed == 0
		lull.isIdle = activity.Leased == 0
		return !isOver, nil
	}
	lull.isIdle = false
	// Whoever waits sees each lease of the others end: settled, or dead.
	if lull.waitingSince.IsZero() {
		lull.waitingSince = time.Now()
		r.Observer.Waiting(activity.Leased)
	}
	if time.Since(lull.waitingSince) >= r.job.Patience {
		return false, nil
	}
	return pause(stop, min(activity.NextExpiry+time.Millisecond, time.Second)) == nil, nil
}
