package migrate

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"trackstore/shared/track"
)

// Mover copies the bytes of tracks in one direction, and verifies the copies. It may move
// several at once.
type Mover interface {
	// Direction is the one that it moves in.
	Direction() track.Direction
	// Move copies the bytes of one track and returns how that ended; the track's row is not
	// touched. A file that may still be being written is left for a while, which an error of its
	// own tells. An error that track.IsRetryable is worth another call, as are track.ErrForbidden
	// and ErrMismatch: what the first one left is found, compared and used. Any other error
	// is the track's failure. Where ctx ends, the result says nothing.
	Move(ctx context.Context, lease track.Lease) (track.Result, error)
	// Prove says whether disk and S3 answer, and are who they should be. Where they are not, no
	// track has failed.
	Prove(ctx context.Context) error
	// Room says whether there is room for so many files, of so many bytes together.
	Room(files, bytes int64) error
}

// Observer is told what happens, from several goroutines at once.
type Observer interface {
	Claimed(tracks int)
	Waiting(leased int64) // nothing is left but what other processes hold, or did when they died
	Settled(s Settlement)
}

// Settlement is what became of one claimed track.
type Settlement struct {
	track.Outcome
	Verdict track.Verdict
}

// Job says what a run is to do. NewJob returns one that does all there is.
type Job struct {
	track.Selection
	Limit    int           // of claimed tracks; NoLimit: all
	Workers  int           // copies at once, while there are tracks enough; AsManyAsPay: as many as pay off
	Lease    time.Duration // how long a track is held without a heartbeat
	StopAt   time.Time     // when to claim no more; zero: never
	Finish   time.Duration // how long what is in flight may take after a stop
	Patience time.Duration // how long to wait for the leases of other processes; Forever: until they end
	LockWait time.Duration // how long a row that another transaction has locked is waited for
	Backoff  time.Duration // before the second attempt, then doubled, up to sixteenfold
}

// What a Job may ask for.
const (
	NoLimit     = math.MaxInt
	AsManyAsPay = math.MaxInt
	Forever     = time.Duration(math.MaxInt64)

	// MaxWorkers is the most copies at once that a job finds to pay off: enough for S3 at the other end of the world.
	MaxWorkers = 1024

	// DefaultLockWait is a Job's LockWait where nothing else is asked for.
	DefaultLockWait = 10 * time.Minute
)

// NewJob returns a job that moves all there is, with as many workers as pay, and waits for
// what other processes hold. lease is how long it holds a track without a heartbeat.
func NewJob(lease time.Duration) Job {
	return Job{
		Limit: NoLimit, Workers: AsManyAsPay, Lease: lease, Finish: interruptGrace,
		Patience: Forever, LockWait: DefaultLockWait, Backoff: firstBackoff,
	}
}

// interruptGrace is how long copies may go on after an interrupt. What is left of the ten
// seconds that an interrupt may take is for settling and giving leases back.
const interruptGrace = 4 * time.Second

// Errors that end a run before its work is done. Leases are given back in each case.
var (
	ErrInterrupted      = errors.New("interrupted")
	ErrDirectionChanged = errors.New("somebody has begun to move tracks the other way")
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

// Runner is what a run works with.
type Runner struct {
	Ledger   Ledger
	Mover    Mover
	Observer Observer
	Log      *slog.Logger
}

// Run moves what the job covers, until nothing of it is claimable or leased. When ctx ends
// it claims no more, lets what is in flight end within job.Finish, gives the rest back, and
// returns ErrInterrupted; where job.StopAt comes first, the same without an error.
func (w Runner) Run(ctx context.Context, job Job) (Summary, error) {
	started := time.Now()
	direction := w.Mover.Direction()
	if err := w.begin(ctx, job); err != nil {
		return Summary{Direction: direction}, err
	}
	r := &run{
		Runner: w, job: job,
		held: newHeld(), slots: newSlots(job.Workers),
		outcomes: make(chan *task, settleBatch), idle: make(chan *task),
		summary: Summary{Direction: direction},
	}
	err := r.all(ctx)
	r.summary.Seconds = time.Since(started).Seconds()
	if err != nil && !errors.Is(err, ErrDirectionChanged) && !errors.Is(err, ErrInterrupted) {
		return r.summary, err
	}
	patience := 5 * time.Second
	if deadline, ok := ctx.Deadline(); ok {
		patience = min(patience, time.Until(deadline))
	}
	if ctx.Err() != nil {
		patience = lastCount
	}
	counting, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	remaining, countErr := w.Ledger.Remaining(counting, direction, job.Selection)
	r.summary.Remaining = remaining
	r.summary.Done = countErr == nil && (remaining == 0 || errors.Is(err, ErrDirectionChanged))
	if r.summary.Done && err == nil && len(job.TrackIDs) == 0 {
		// All ranges were walked to their end. What comes later may have ids that lie elsewhere.
		if err := w.Ledger.ForgetRanges(counting, direction); err != nil {
			r.Log.Warn("the next run walks the ranges of this one", "err", err)
		}
	}
	return r.summary, errors.Join(err, countErr)
}

// begin looks at disk and S3 before anything is claimed.
func (w Runner) begin(ctx context.Context, job Job) error {
	if err := w.Mover.Prove(ctx); err != nil {
		return err
	}
	files, bytes, err := w.Ledger.ToWrite(ctx, w.Mover.Direction(), job.Selection, job.Limit)
	if err != nil {
		return err
	}
	return w.Mover.Room(files, bytes)
}

// run is the state that the workers of one Run share.
type run struct {
	Runner
	job Job

	held     *held
	slots    *slots
	refused  refused
	outcomes chan *task
	idle     chan *task     // what goroutines without work go on with
	flight   sync.WaitGroup // of tasks that have not come to their end
	ended    atomic.Int64   // tasks, in this pass over the tracks
	isLate   atomic.Bool    // the first pass is over

	mu      sync.Mutex
	summary Summary
}

// all runs the goroutines of a run to their end.
func (r *run) all(ctx context.Context) error {
	claims, cancelClaims := context.WithCancel(ctx)
	defer cancelClaims()
	if !r.job.StopAt.IsZero() {
		claims, cancelClaims = context.WithDeadline(claims, r.job.StopAt)
		defer cancelClaims()
	}
	// What is in flight goes on after a stop, for as long as it may.
	work, fail := context.WithCancelCause(context.WithoutCancel(ctx))
	defer fail(nil)
	context.AfterFunc(claims, func() {
		time.AfterFunc(r.job.Finish, func() { fail(ErrInterrupted) })
	})
	context.AfterFunc(work, cancelClaims) // a fatal error stops the claims, too
	p := phases{claims, work, fail}

	leases := make(chan []track.Lease) // while one batch is begun, the next is claimed
	var claimErr error
	var claiming, settling, beating sync.WaitGroup
	claiming.Go(func() {
		defer close(leases)
		claimErr = r.claimAll(claims, leases)
	})
	settling.Go(func() { r.settleAll(p) })
	beat, stopBeat := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBeat()
	beating.Go(func() { r.heartbeat(beat) })

	for batch := range leases {
		for _, lease := range batch {
			if r.slots.acquire(claims) == nil {
				r.begin(p, lease)
			} // else it is stopped before it began: given back below
		}
	}
	claiming.Wait()
	landed := make(chan struct{})
	go func() {
		defer close(landed)
		r.flight.Wait()
		if err := r.judge(); err != nil && work.Err() == nil && ctx.Err() == nil {
			fail(err)
		}
		r.flight.Wait() // those that were kept back
		close(r.idle)
		close(r.outcomes)
		settling.Wait()
	}()
	select {
	case <-landed:
	case <-after(work, lastLanding):
		r.Log.Warn("the disk does not answer: what was asked of it is left, and its tracks are given back", "tracks", r.held.size())
	}
	stopBeat()
	beating.Wait()

	if err := r.giveBack(ctx); err != nil {
		r.Log.Warn("leases were not given back, and run out by themselves", "err", err)
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

// after is closed a while after ctx has ended.
func after(ctx context.Context, wait time.Duration) <-chan struct{} {
	done := make(chan struct{})
	context.AfterFunc(ctx, func() { time.AfterFunc(wait, func() { close(done) }) })
	return done
}

// giveBack releases whatever is still held, so that nobody has to wait for it to expire.
func (r *run) giveBack(ctx context.Context) error {
	leases := r.held.all()
	if len(leases) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastReturn)
	defer cancel()
	return r.Ledger.Release(ctx, leases)
}
