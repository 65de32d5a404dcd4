package migrate

import (
	"context"
	"time"

	"trackstore/shared/track"
)

// claimBatch is how many tracks one statement claims, at most.
const claimBatch = 100

// claimAll hands leases out until nothing is claimable or leased any more, or until stop
// ends. It walks the tracks in the order of their ids, again and again: what another
// process held or a user changed meanwhile comes up in the next pass.
func (r *run) claimAll(stop context.Context, leases chan<- track.Lease) error {
	var after track.ID
	var waitingSince time.Time
	claimed, inThisPass := 0, 0
	for {
		limit := min(claimBatch, 2*r.slots.size()) // what is claimed here, other processes do not get
		limit = min(limit, r.job.Limit-claimed)
		if limit <= 0 {
			return nil
		}
		claims, err := r.claim(stop, after, limit)
		if stop.Err() != nil {
			// Even one that came back: it is held, so it is given back.
			return nil
		}
		if err != nil {
			return err
		}
		claimed += len(claims.Leases)
		inThisPass += len(claims.Leases)
		for _, lease := range claims.Leases {
			select {
			case leases <- lease:
			case <-stop.Done():
				return nil
			}
		}
		after = claims.Last
		if claims.More {
			continue
		}
		if inThisPass > 0 {
			waitingSince = time.Time{}
		}
		again, err := r.anotherPass(stop, inThisPass > 0, &waitingSince)
		if !again || err != nil {
			return err
		}
		after, inThisPass = track.ID{}, 0
	}
}

// claim leases up to limit tracks under a token of their own.
func (r *run) claim(stop context.Context, after track.ID, limit int) (claims track.Claims, err error) {
	spec := track.ClaimSpec{
		Direction: r.Mover.Direction(), Selection: r.job.Selection,
		Token: track.NewID(), For: r.job.Lease, After: after, Limit: limit,
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
func (r *run) anotherPass(stop context.Context, gotSome bool, waitingSince *time.Time) (bool, error) {
	for r.held.size() > 0 {
		if r.held.size() == r.keptBack() {
			if err := r.judge(); err != nil {
				return false, err
			}
		}
		if pause(stop, 10*time.Millisecond) != nil {
			return false, nil
		}
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
	case gotSome, freed > 0:
		return true, nil
	case activity.Leased == 0:
		return false, nil
	}
	// Whoever waits sees each lease of the others end: settled, or dead.
	if waitingSince.IsZero() {
		*waitingSince = time.Now()
		r.Observer.Waiting(activity.Leased)
	}
	if time.Since(*waitingSince) >= r.job.Patience {
		return false, nil
	}
	return pause(stop, min(activity.NextExpiry+time.Millisecond, time.Second)) == nil, nil
}
