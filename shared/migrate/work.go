package migrate

import (
	"context"
	"errors"
	"io/fs"
	"math/rand/v2"
	"time"

	"trackstore/shared/track"
)

// Attempts on transient errors, before a track is failed. S3 tells to slow down for minutes
// while it makes room for more.
const (
	maxAttempts  = 5
	maxThrottled = 20
	maxDenied    = 2
)

// phases are when a run begins nothing more, and when what is in flight has to end, too.
type phases struct {
	claims context.Context // ends first; nothing that waits begins again then
	work   context.Context
	fail   context.CancelCauseFunc // ends both
}

// task is a claimed track on its way to its end, which is one of two: it is settled, or it is
// abandoned, and its lease given back when the run ends.
type task struct {
	track.Outcome
	markedSince time.Time     // when it first met a name whose removal had begun; zero: it did not
	rested      time.Duration // how long its file was left alone
	changes     int           // how often its file was changed while it was read
}

// begin starts the work on a track. A slot is held for it. A goroutine that has ended its work on another goes on with it:
// its stack has grown already.
func (r *run) begin(p phases, lease track.Lease) {
	r.flight.Add(1)
	t := &task{Outcome: track.Outcome{Lease: lease}}
	select {
	case r.idle <- t:
	default:
		go func() {
			r.work(p, t)
			for next := range r.idle {
				r.work(p, next)
			}
		}()
	}
}

// work copies the bytes of one track and hands it over to be settled. It holds a slot when it
// begins, and no slot while it waits.
func (r *run) work(p phases, t *task) {
	for {
		t.Attempts++
		var err error
		began := time.Now()
		t.Result, err = r.Mover.Move(p.work, t.Lease)
		var took time.Duration
		if t.Result != nil && t.Result.State() == track.Migrated {
			took = time.Since(began)
		}
		r.slots.release(took, errors.Is(err, track.ErrThrottled))
		if p.work.Err() != nil {
			r.abandon()
			return
		}
		if errors.Is(err, track.ErrForbidden) && t.Attempts == 1 {
			if all := r.deny(err); all != nil {
				p.fail(all)
				r.abandon()
				return
			}
		}
		wait, again := r.waitBefore(t, err)
		if again && r.isLate.Load() && errors.As(err, new(*restsError)) {
			r.giveBackOne(p.work, t.Lease)
			r.abandon()
			return
		}
		if again {
			r.Log.Debug("trying again", "track_id", t.TrackID, "attempt", t.Attempts, "err", err)
			if pause(p.claims, wait) != nil || r.slots.acquire(p.claims) != nil {
				r.abandon() // stopped while it waited
				return
			}
			continue
		}
		if errors.Is(err, track.ErrPlace) || outOfFiles(err) {
			p.fail(err)
			r.abandon()
			return
		}
		if err != nil && t.Result == nil {
			t.Result = track.Failure{Kind: track.Failed, Err: err}
			if err := r.refuse(p.work, t); err != nil {
				p.fail(err)
			}
			return
		}
		if t.Result.State() == track.Migrated {
			r.moved()
		}
		r.outcomes <- t
		return
	}
}

// waitBefore tells errors of the moment from those of the track, after so many attempts, and how
// long to wait. Access that is denied may be a token that has just expired.
func (r *run) waitBefore(t *task, err error) (wait time.Duration, again bool) {
	var rests *restsError
	switch {
	case err == nil:
		return 0, false
	case errors.As(err, &rests):
		return rests.left, r.rest(t, rests)
	case errors.Is(err, track.ErrThrottled):
		again = t.Attempts < maxThrottled
	case errors.Is(err, track.ErrForbidden):
		again = t.Attempts < maxDenied
	case errors.Is(err, fs.ErrPermission):
		again = t.Attempts < maxReads
	case track.IsRetryable(err), errors.Is(err, track.ErrMismatch), mayPass(err):
		again = t.Attempts < maxAttempts
	}
	return backoff(r.job.Backoff, min(t.Attempts, maxAttempts)), again
}

// rest tells whether a file that may still be being written is looked at once more. Else that is the
// track's failure.
func (r *run) rest(t *task, rests *restsError) (again bool) {
	t.rested += rests.left
	if rests.changed != nil {
		t.changes++
	} else {
		t.Attempts-- // it was only looked at
	}
	if t.changes >= maxReads || t.rested > r.job.LockWait {
		t.Result = track.Failure{Kind: track.Changed, Err: rests}
		return false
	}
	return true
}

// giveBackOne gives a lease back before the run ends. Where that fails, it runs out by itself.
func (r *run) giveBackOne(ctx context.Context, lease track.Lease) {
	if err := r.Ledger.Release(ctx, []track.Lease{lease}); err != nil {
		r.Log.Warn("a lease was not given back, and runs out by itself", "track_id", lease.TrackID, "err", err)
	}
	r.held.remove(lease)
}

// abandon ends a task without an outcome.
func (r *run) abandon() { r.flight.Done() }

// firstBackoff is how long to wait before the second attempt, unless a job says otherwise.
const firstBackoff = 500 * time.Millisecond

// backoff doubles from first on, at random between once and twice.
func backoff(first time.Duration, attempt int) time.Duration {
	base := first << (attempt - 1)
	return base + rand.N(base)
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// patiently repeats a call that may have met a restart or a failover, for about half a
// minute where first is half a second. The call must be one that may be made twice.
func patiently(ctx context.Context, first time.Duration, call func() error) error {
	for attempt := 1; ; attempt++ {
		err := call()
		if err == nil || !track.IsRetryable(err) || attempt == 6 {
			return err
		}
		if pause(ctx, backoff(first, attempt)) != nil {
			return err
		}
	}
}
