package sweep

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/function/deadline"
	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

const (
	batchSize = 200 // rows a statement
	atOnce    = 64  // requests to a backend at a time
)

// run is one sweep.
type run struct {
	Config
	Options
	ctx   context.Context
	there map[string]Backend // those that can be asked, by name
	// wrongPlace says that one of the others is not the disk, or the bucket, that is meant.
	wrongPlace bool
	started    time.Time
	end        time.Time // nothing is begun after it; zero: no limit
	last       time.Time // nor, by the step that is under way, after this one
	ranOut     bool      // some step left something to the next sweep

	// needed knows the files of tracks on disk. It takes a look at every such track, and is
	// asked for only where a file is due.
	needed func() (*track.Needed, error)

	mu     sync.Mutex
	counts Counts
	errs   []error
}

func newRun(ctx context.Context, c Config, o Options) *run {
	r := &run{Config: c, Options: o, ctx: ctx, there: make(map[string]Backend), started: time.Now()}
	r.end, _ = deadline.Before(ctx, 20*time.Second) // enough to finish a batch that was begun
	r.needed = sync.OnceValues(func() (*track.Needed, error) {
		needed, seen := track.NewNeeded(r.Paths), error(nil)
		err := needed.LearnAll(ctx, r.Store.LocalPaths(ctx, r.Grace), func(filePath string, err error) {
			seen = fmt.Errorf("a track needs the file %q, and which one it is cannot be seen: %w", filePath, err)
		})
		return needed, errors.Join(seen, err)
	})
	r.counts.DryRun = o.DryRun
	for name, b := range c.Backends {
		if r.isThere(name, b) {
			r.there[name] = b
		}
	}
	return r
}

// within has what follows begin nothing once so many of a hundred parts of the sweep's time are over: a step that has more to
// do than a sweep has time for holds up no other.
func (r *run) within(parts int) {
	r.last = r.end
	if !r.end.IsZero() {
		r.last = r.started.Add(r.end.Sub(r.started) * time.Duration(parts) / 100)
	}
}

// goOn reports whether there is time for another batch.
func (r *run) goOn() bool {
	isTime := r.ctx.Err() == nil && (r.last.IsZero() || time.Now().Before(r.last))
	r.ranOut = r.ranOut || !isTime
	return isTime
}

// did counts and reports an action.
func (r *run) did(a Action, count *int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	*count++
	if r.Report != nil {
		r.Report(a)
	}
	r.Log.InfoContext(r.ctx, "sweep", "do", a.Do, "backend", a.Backend, "key", a.Key, "track_id", a.TrackID,
		"why", a.Why, "dry_run", r.DryRun)
}

// failed counts a step that is left to the next sweep.
func (r *run) failed(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts.Failures++
	if len(r.errs) < 10 {
		r.errs = append(r.errs, err)
	}
	r.Log.ErrorContext(r.ctx, "a step of the sweep failed, and is left to the next one", "err", err)
}

// each calls f for every item, several at a time.
func each[T any](items []T, f func(T)) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, item := range items {
		group.Go(func() error { f(item); return nil })
	}
	_ = group.Wait()
}

// isThere reports whether a backend can be worked with. A disk need not be there: a function
// may have none, and a missing root says nothing about the files. One that is there, and is
// not the one that is meant, or another bucket, ends the sweep before it has begun (R7).
func (r *run) isThere(name string, b Backend) bool {
	err := b.Prove(r.ctx)
	switch {
	case err == nil:
		return true
	case errors.Is(err, track.ErrPlace):
		r.wrongPlace = true
		r.failed(err)
	case name == track.Local && errors.Is(err, track.ErrUnavailable) && errors.Is(err, fs.ErrNotExist):
		r.Log.InfoContext(r.ctx, "the disk is not here: what lies on it is left alone", "err", err)
	default:
		r.failed(fmt.Errorf("reach %s: %w", name, err))
	}
	return false
}

// nameBuckets lets the tracks name their bucket that are older than that column, for as long
// as there is time. Until they do, they mean the same bucket.
func (r *run) nameBuckets() {
	bucket, there := r.there[track.S3]
	if !there || r.DryRun || !r.goOn() {
		return
	}
	ctx := r.ctx
	if !r.last.IsZero() {
		limited, cancel := context.WithDeadline(ctx, r.last)
		defer cancel()
		ctx = limited
	}
	if err := r.Store.NameBuckets(ctx, bucket.Bucket()); err != nil && ctx.Err() == nil {
		r.failed(err)
	}
}

func (r *run) finish() (Counts, error) {
	c := &r.counts
	c.Seconds = time.Since(r.started).Seconds()
	c.Done = r.goOn() && !r.ranOut
	if !r.DryRun {
		r.Metrics.Emit(
			metrics.Count("UploadsExpired", c.Expired),
			metrics.Count("MultipartsAborted", c.Multiparts),
			metrics.Count("DiscardsRemoved", c.Removed),
			metrics.Count("SweepFailures", c.Failures),
		)
	}
	return *c, errors.Join(append(r.errs, r.ctx.Err())...)
}
