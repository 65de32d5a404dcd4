package migrate

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"trackstore/shared/track"
)

// Ledger leases tracks and keeps what became of them; see pgstore for each call's promises.
type Ledger interface {
	Claim(ctx context.Context, spec track.ClaimSpec) (track.Claims, error)
	Extend(ctx context.Context, leases []track.Lease, d time.Duration) error
	Release(ctx context.Context, leases []track.Lease) error
	Settle(ctx context.Context, d track.Direction, outcomes []track.Outcome) ([]track.Verdict, error)
	Expire(ctx context.Context) (freed int64, err error)
	Outlook(ctx context.Context, ids []track.ID) (track.Outlook, error)
	Remaining(ctx context.Context, d track.Direction, ids []track.ID, uploaded bool) (int64, error)
}

// Mover copies the bytes of one track and verifies the copy.
type Mover interface {
	// Direction is the one that it moves in.
	Direction() track.Direction
	// Move returns what became of the lease. An error that track.IsRetryable is worth
	// another attempt; any other one is the track's failure.
	Move(ctx context.Context, lease track.Lease) (track.Outcome, error)
	// Reachable says whether disk and S3 answer at all.
	Reachable(ctx context.Context) error
}

// Observer is told what happens, from several goroutines at once.
type Observer interface {
	Claimed(tracks int)
	Waiting(leased int64) // nothing is left but what other processes hold, or did when they died
	Settled(r Result)
}

// Result is what became of one claimed track.
type Result struct {
	track.Outcome
	Verdict track.Verdict
}

// Job says what a run is to do.
type Job struct {
	TrackIDs []track.ID    // only these; empty: all
	Uploaded bool          // a rollback also of tracks that were uploaded to S3
	Limit    int           // of claimed tracks; 0: none
	Workers  int           // copies at once, at most; 0: 128
	Lease    time.Duration // how long a track is held without a heartbeat
	StopAt   time.Time     // when to claim no more; zero: never
	Finish   time.Duration // how long what is in flight may take after a stop
	Patience time.Duration // how long to wait for the leases of other processes; negative: until they end
	Backoff  time.Duration // before the second attempt, then doubled, up to sixteenfold; 0: half a second
}

// Errors that end a run before its work is done. Leases are given back in each case.
var (
	ErrInterrupted = errors.New("interrupted")
	ErrTurned      = errors.New("somebody has begun to move tracks the other way")
)

// Summary is what a run did.
type Summary struct {
	Direction track.Direction `json:"direction"`
	Claimed   int             `json:"claimed"`
	Migrated  int             `json:"migrated"`
	Missing   int             `json:"missing"`
	Failed    int             `json:"failed"` // all failures but Missing
	Bytes     int64           `json:"bytes"`  // of those migrated
	Seconds   float64         `json:"seconds"`
	Remaining int64           `json:"remaining"` // claimable or leased, for what the job covers; an estimate above 100,000
	Done      bool            `json:"done"`      // nothing remains, or the direction is another
}

// maxWorkers is as many copies at once as pay for a fast S3.
const maxWorkers = 128

// Run moves what the job covers, until nothing of it is claimable or leased. When ctx ends
// it claims no more, lets what is in flight end within job.Finish, gives the rest back, and
// returns ErrInterrupted; where job.StopAt comes first, the same without an error.
func Run(ctx context.Context, ledger Ledger, mover Mover, job Job, observer Observer, log *slog.Logger) (Summary, error) {
	started := time.Now()
	if job.Workers <= 0 || job.Workers > maxWorkers {
		job.Workers = maxWorkers
	}
	if job.Backoff <= 0 {
		job.Backoff = firstBackoff
	}
	if err := mover.Reachable(ctx); err != nil {
		return Summary{Direction: mover.Direction()}, err
	}
	r := &run{
		ledger: ledger, mover: mover, job: job, observer: observer, log: log,
		held: newHeld(), slots: newSlots(job.Workers),
		outcomes: make(chan track.Outcome, settleBatch),
		summary:  Summary{Direction: mover.Direction()},
	}
	err := r.all(ctx)
	r.summary.Seconds = time.Since(started).Seconds()
	if err != nil && !errors.Is(err, ErrTurned) && !errors.Is(err, ErrInterrupted) {
		return r.summary, err
	}
	patience := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline))
	}
	if ctx.Err() != nil {
		patience = lastLook
	}
	look, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	remaining, lookErr := ledger.Remaining(look, mover.Direction(), job.TrackIDs, job.Uploaded)
	r.summary.Remaining = remaining
	r.summary.Done = lookErr == nil && (remaining == 0 || errors.Is(err, ErrTurned))
	return r.summary, errors.Join(err, lookErr)
}

// run is the state that the workers of one Run share.
type run struct {
	ledger   Ledger
	mover    Mover
	job      Job
	observer Observer
	log      *slog.Logger

	held     *held
	slots    *slots
	outcomes chan track.Outcome

	mu      sync.Mutex
	summary Summary
}

// all runs the goroutines of a run to their end.
func (r *run) all(ctx context.Context) error {
	stop, cancelStop := context.WithCancel(ctx)
	defer cancelStop()
	if !r.job.StopAt.IsZero() {
		stop, cancelStop = context.WithDeadline(stop, r.job.StopAt)
		defer cancelStop()
	}
	// What is in flight goes on after a stop, for as long as it may.
	work, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	context.AfterFunc(stop, func() {
		time.AfterFunc(r.job.Finish, func() { fail(ErrInterrupted) })
	})
	context.AfterFunc(work, cancelStop) // a fatal error stops the claims, too

	leases := make(chan track.Lease)
	var claimErr error
	var claiming, settling, beating sync.WaitGroup
	claiming.Go(func() {
		defer close(leases)
		claimErr = r.claimAll(stop, leases)
	})
	settling.Go(func() { r.settleAll(work, fail) })
	beat, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeat()
	beating.Go(func() { r.heartbeat(beat) })

	var working sync.WaitGroup
	for lease := range leases {
		if r.slots.acquire(stop) != nil {
			continue // stopped before it began: given back below
		}
		working.Go(func() { r.work(stop, work, fail, lease) })
	}
	claiming.Wait()
	working.Wait()
	close(r.outcomes)
	settling.Wait()
	stopBeat()
	beating.Wait()

	if err := r.giveBack(ctx); err != nil {
		r.log.Warn("leases were not given back, and run out by themselves", "err", err)
	}
	if err := context.Cause(work); err != nil && !errors.Is(err, ErrInterrupted) {
		return err
	}
	if claimErr != nil {
		return claimErr
	}
	if ctx.Err() != nil {
		return ErrInterrupted
	}
	return nil
}

// giveBack releases whatever is still held, so that nobody has to wait for it to expire.
func (r *run) giveBack(ctx context.Context) error {
	leases := r.held.all()
	if len(leases) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReturn)
	defer cancel()
	return r.ledger.Release(ctx, leases)
}
