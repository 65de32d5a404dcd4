package sweep

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/function/deadline"
	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

const (
	batchSize = 200 // rows a statement
	atOnce    = 16  // requests to a backend at a time
)

// run is one sweep.
type run struct {
	Config
	Options
	ctx     context.Context
	there   map[string]Backend // those that can be asked, by name
	started time.Time
	last    time.Time // nothing is begun after it; zero: no limit

	// odd has the paths of local tracks that are not plain. It takes a look at every such
	// track, and is asked for only where a file is due.
	odd func() (map[string][]string, error)

	mu     sync.Mutex
	counts Counts
	errs   []error
}

func newRun(ctx context.Context, c Config, o Options) *run {
	r := &run{Config: c, Options: o, ctx: ctx, there: make(map[string]Backend), started: time.Now()}
	r.last, _ = deadline.Before(ctx, 20*time.Second) // enough to finish a batch that was begun
	r.odd = sync.OnceValues(func() (map[string][]string, error) { return r.Paths.OddPaths(r.Store.LocalPaths(ctx, r.Grace)) })
	r.counts.DryRun = o.DryRun
	for name, b := range c.Backends {
		if r.isThere(name, b) {
			r.there[name] = b
		}
	}
	return r
}

// goOn reports whether there is time for another batch.
func (r *run) goOn() bool {
	return r.ctx.Err() == nil && (r.last.IsZero() || time.Now().Before(r.last))
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

// isThere reports whether a backend can be asked. It is asked for a list: of a bucket that
// is not there, HEAD says the same as of an object that is not, and uploads would expire
// whose bytes have come. A disk need not be there: a function may have none, and a missing
// root says nothing about the files.
func (r *run) isThere(name string, b Backend) bool {
	var err error
	for _, err = range b.List(r.ctx, track.UploadsPrefix) {
		break
	}
	if err == nil {
		return true
	}
	if name == track.Local {
		r.Log.InfoContext(r.ctx, "the disk is not here: what lies on it is left alone", "err", err)
	} else {
		r.failed(fmt.Errorf("reach %s: %w", name, err))
	}
	return false
}

func (r *run) finish() (Counts, error) {
	c := &r.counts
	c.Seconds = time.Since(r.started).Seconds()
	c.Done = r.goOn()
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
