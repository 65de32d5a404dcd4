package migrate

import (
	"context"
	"errors"
	"slices"
	"time"

	"trackstore/shared/track"
)

// One statement settles up to settleBatch outcomes, and none waits longer than settleDelay.
const (
	settleBatch = 128
	settleDelay = 100 * time.Millisecond
)

// What an interrupted run has when its copies have ended: so much for a claim under way, for settling, for giving
// leases back, and for a last count. The database may not answer at all.
const (
	lastClaim  = time.Second
	lastSettle = 1500 * time.Millisecond
	lastReturn = 1500 * time.Millisecond
	lastCount  = time.Second
)

// settleAll writes outcomes to the database until their channel is closed. Until then a
// crash loses them: the copies stay, their leases run out, and whoever claims the tracks
// next finds the copies there.
func (r *run) settleAll(ctx context.Context, fail context.CancelCauseFunc) {
	settling, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(lastSettle, cancel) })()
	for first := range r.outcomes {
		batch := r.gather(first)
		if ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrInterrupted) {
			continue // the run has failed; the leases are given back
		}
		if err := r.settle(settling, batch); err != nil {
			fail(err)
		}
	}
}

// gather waits for more outcomes, as long as there are tracks that they may come from.
func (r *run) gather(first track.Outcome) []track.Outcome {
	batch := append(make([]track.Outcome, 0, settleBatch), first)
	due := time.After(settleDelay)
	for len(batch) < settleBatch && len(batch) < r.held.size() {
		select {
		case o, ok := <-r.outcomes:
			if !ok {
				return batch
			}
			batch = append(batch, o)
		case <-due:
			return batch
		}
	}
	return batch
}

// settle flips and records a batch.
func (r *run) settle(ctx context.Context, batch []track.Outcome) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if slices.ContainsFunc(batch, func(o track.Outcome) bool { return o.Result.State().IsFailure() }) {
		// R7: what failed may have failed because the volume was unmounted, or is of another bucket.
		if err := patiently(ctx, r.job.Backoff, func() error { return r.Mover.Prove(ctx) }); err != nil {
			return err
		}
	}
	var verdicts []track.Verdict
	err := patiently(ctx, r.job.Backoff, func() (err error) {
		verdicts, err = r.Ledger.Settle(ctx, r.Mover.Direction(), batch)
		return err
	})
	if err != nil {
		return err
	}
	for i, o := range batch {
		r.held.remove(o.Lease)
		if verdicts[i] == track.Settled {
			r.count(func(s *Summary) { s.add(o) })
		}
		r.Observer.Settled(Settlement{o, verdicts[i]})
	}
	return nil
}

func (r *run) count(f func(*Summary)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f(&r.summary)
}

func (s *Summary) add(o track.Outcome) {
	switch o.Result.State() {
	case track.Migrated:
		s.Migrated++
		s.Bytes += o.Size()
	case track.Missing:
		s.Missing++
	default:
		s.Failed++
	}
}
