package migrate

import (
	"context"
	"errors"
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

// work moves one track. It holds a slot when it begins, and no slot while it waits.
func (r *run) work(stop, ctx context.Context, fail context.CancelCauseFunc, lease track.Lease) {
	outcome := track.Outcome{Lease: lease}
	for {
		outcome.Attempts++
		var err error
		outcome.Result, err = r.Mover.Move(ctx, lease)
		r.slots.release(outcome.Size(), errors.Is(err, track.ErrThrottled))
		if ctx.Err() != nil {
			return // given back at the end of the run
		}
		if errors.Is(err, track.ErrForbidden) && outcome.Attempts == 1 {
			if all := r.deny(err); all != nil {
				fail(all)
				return
			}
		}
		if err != nil && worthAnother(err, outcome.Attempts) {
			r.Log.Debug("trying again", "track_id", lease.TrackID, "attempt", outcome.Attempts, "err", err)
			if pause(stop, backoff(r.job.Backoff, min(outcome.Attempts, maxAttempts))) != nil || r.slots.acquire(stop) != nil {
				return // stopped while it waited
			}
			continue
		}
		if errors.Is(err, track.ErrPlace) {
			fail(err)
			return
		}
		if err != nil {
			outcome.Result = track.Failure{Kind: track.Failed, Err: err}
			if err := r.refuse(ctx, outcome); err != nil {
				fail(err)
			}
			return
		}
		if outcome.Result.State() == track.Migrated {
			r.moved()
		}
		r.outcomes <- outcome
		return
	}
}

// worthAnother tells errors of the moment from those of the track, after so many attempts.
// Access that is denied may be a token that has just expired.
func worthAnother(err error, attempts int) bool {
	switch {
	case errors.Is(err, track.ErrThrottled):
		return attempts < maxThrottled
	case errors.Is(err, track.ErrForbidden):
		return attempts < maxDenied
	}
	return attempts < maxAttempts && (track.IsRetryable(err) || errors.Is(err, track.ErrMismatch))
}

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
