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
	settleBatch = 512
	settleDelay = 100 * time.Millisecond
)

// What an interrupted run has when its copies have ended: so much for a claim under way, for settling, for giving
// leases back, and for a last count. The database may not answer at all.
const (
	lastClaim  = time.Second
	lastSettle = 1500 * time.Millisecond
	// A call to a disk that is out of reach (a dead NFS server) may never come back, and cannot be cut off. So much after the
	// end of all work it is not waited for any more. If it does come back, its task finds the work ended, and settles nothing.
	lastLanding = 2 * time.Second
	lastReturn  = 1500 * time.Millisecond
	lastCount   = time.Second
)

// settleAll writes outcomes to the database until their channel is closed. Until then a
// crash loses them: the copies stay, their leases run out, and whoever claims the tracks
// next finds the copies there.
func (r *run) settleAll(p phases) {
	settling, cancel := context.WithCancel(context.WithoutCancel(p.work))
	defer cancel()
	defer context.AfterFunc(p.work, func() { time.AfterFunc(lastSettle, cancel) })()
	for first := range r.outcomes {
		// As long as there are tracks that outcomes may come from.
		batch := gather(r.outcomes, first, settleDelay, func(n int) bool { return n == settleBatch || n >= r.held.size() })
		var err error
		if p.work.Err() == nil || errors.Is(context.Cause(p.work), ErrInterrupted) {
			err = r.settle(settling, p, batch)
		} else {
			err = context.Cause(p.work) // the run has failed; the leases are given back
		}
		if err != nil {
			p.fail(err)
			for range batch {
				r.abandon()
			}
		}
	}
}

// gather waits a little for more, until so many are enough or no more can come.
func gather[T any](from <-chan T, first T, wait time.Duration, isEnough func(n int) bool) []T {
	batch := []T{first}
	due := time.After(wait)
	for !isEnough(len(batch)) {
		select {
		case one, ok := <-from:
			if !ok {
				return batch
			}
			batch = append(batch, one)
		case <-due:
			return batch
		}
	}
	return batch
}

// settle flips and records a batch. After an error nothing of it counts.
func (r *run) settle(ctx context.Context, p phases, batch []*task) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if slices.ContainsFunc(batch, func(t *task) bool { return t.Result.State().IsFailure() }) {
		// R7: what failed may have failed because the volume was unmounted, or is of another bucket.
		if err := patiently(ctx, r.job.Backoff, func() error { return r.Mover.Prove(ctx) }); err != nil {
			return err
		}
	}
	outcomes := make([]track.Outcome, len(batch))
	for i, t := range batch {
		outcomes[i] = t.Outcome
	}
	var rulings []track.Ruling
	err := patiently(ctx, r.job.Backoff, func() (err error) {
		rulings, err = r.Ledger.Settle(ctx, r.Mover.Direction(), outcomes)
		return err
	})
	if err != nil {
		return err
	}
	for i, t := range batch {
		switch ruling := rulings[i]; ruling.Verdict {
		case track.Settled, track.Superseded, track.Lost:
			r.end(t, ruling.Verdict)
		default:
			go r.comeAgain(p, t, ruling)
		}
	}
	return nil
}

// end takes a task to its end.
func (r *run) end(t *task, verdict track.Verdict) {
	r.ended.Add(1)
	r.held.remove(t.Lease)
	if verdict == track.Settled {
		r.count(func(s *Summary) { s.add(t.Outcome) })
	}
	r.Observer.Settled(Settlement{t.Outcome, verdict})
	r.flight.Done()
}

// longestWait is how long a track waits between two looks at a row that somebody has locked.
const longestWait = 10 * time.Second

// comeAgain goes on with a track that could not be settled, while all others are moved. What will
// not get better, and what has lasted too long, is the track's failure.
func (r *run) comeAgain(p phases, t *task, ruling track.Ruling) {
	isLocal := r.Mover.Direction() == track.ToLocal
	var waits time.Duration // for the row, or for the removal of what had its name
	switch file, ok := t.Result.(track.NewFile); {
	case ruling.Verdict == track.Locked:
		waits = ruling.LockedFor
	case ruling.Verdict == track.Marked && isLocal && ok && file.Path == t.FilePath && !t.Purged:
		t.Purged = true // the local copy is not to be used: another path is
		r.again(p, t, 0)
		return
	case ruling.Verdict == track.Marked:
		if t.markedSince.IsZero() {
			t.markedSince = time.Now()
		}
		waits = time.Since(t.markedSince)
	case ruling.Verdict == track.Vacant && t.Attempts < maxAttempts:
		r.makeAnew(p, t)
		return
	case ruling.Verdict == track.Unchanged && t.Attempts < maxAttempts:
		r.again(p, t, backoff(r.job.Backoff, 1))
		return
	default: // refused, or unchanged for the last time
		r.failTask(t, ruling.Err)
		return
	}
	if waits >= r.job.LockWait {
		r.failTask(t, ruling.Err)
		return
	}
	if pause(p.claims, min(max(waits/4, r.job.Backoff), longestWait, r.job.LockWait)) != nil {
		r.abandon()
		return
	}
	r.outcomes <- t
}

// again works on a task once more, from its beginning.
func (r *run) again(p phases, t *task, wait time.Duration) {
	if pause(p.claims, wait) != nil || r.slots.acquire(p.claims) != nil {
		r.abandon()
		return
	}
	r.work(p, t)
}

// makeAnew frees the name of bytes that were removed, and then makes them once more: the copy
// that this task made, or found, may be what was removed.
func (r *run) makeAnew(p phases, t *task) {
	backend, names := track.S3, []string{t.StorageKey()}
	if file, ok := t.Result.(track.NewFile); ok {
		backend, names = track.Local, append(file.Aliases, file.Path)
	}
	err := patiently(p.work, r.job.Backoff, func() error { return r.Ledger.ForgetRemoval(p.work, backend, names) })
	if err != nil {
		p.fail(err)
		r.abandon()
		return
	}
	r.again(p, t, backoff(r.job.Backoff, 1))
}

func (r *run) failTask(t *task, err error) {
	t.Result = track.Failure{Kind: track.Failed, Err: err}
	r.outcomes <- t
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
