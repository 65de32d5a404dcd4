package ingest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

// looksAtOnce is how many objects of a batch are looked at at a time: each look is two or
// three short requests.
const looksAtOnce = 32

// Confirm looks at the bytes of uploads, now, and settles those that are open and whose bytes
// are there: stored, failed, or aborted where the track was deleted. It returns the uploads as
// they then are, also beside an error; those whose bytes have not come stay pending, or
// expired. The error is of uploads that could not be looked at or settled: track.ErrRefused
// where the platform's table does not take the file, track.ErrLocked where it cannot now.
func (in *Ingester) Confirm(ctx context.Context, ids ...track.ID) ([]track.Upload, error) {
	each, err := in.ConfirmEach(ctx, ids, false)
	uploads := make([]track.Upload, len(each))
	for i, c := range each {
		uploads[i] = c.Upload
		err = errors.Join(err, c.Err)
	}
	return uploads, err
}

// ConfirmEach is Confirm, with an error for each upload; the other error is where none could be
// read. A dry run returns the same and changes nothing.
func (in *Ingester) ConfirmEach(ctx context.Context, ids []track.ID, dryRun bool) ([]track.Confirmation, error) {
	uploads, err := in.Uploads.UploadsByID(ctx, ids)
	if err != nil {
		return nil, err
	}
	b := in.confirm(ctx, uploads, dryRun)
	each := make([]track.Confirmation, len(uploads))
	again := make(map[track.ID]*track.Confirmation)
	for i, u := range uploads {
		each[i] = track.Confirmation{Upload: u, Err: b.failures[u.ID]}
		if now, ok := b.settled[u.ID]; ok {
			each[i].Upload = now
		} else if each[i].Err == nil && b.found[u.ID] || errors.Is(each[i].Err, track.ErrLocked) {
			again[u.ID] = &each[i]
		}
	}
	if len(again) == 0 {
		return each, nil
	}
	// Settled by somebody else meanwhile, or by a statement of ours whose answer was lost.
	now, err := in.Uploads.UploadsByID(ctx, slices.Collect(maps.Keys(again)))
	for _, u := range now {
		if c := again[u.ID]; c.Err == nil || !u.IsOpen() {
			c.Upload, c.Err = u, nil
		}
	}
	if err != nil {
		for _, c := range again {
			c.Err = errors.Join(c.Err, err)
		}
	}
	return each, nil
}

// batch is what became of uploads that were confirmed together. Those that are in none
// of the maps were not open, or their bytes are not there.
type batch struct {
	found    map[track.ID]bool // the bytes were there
	settled  map[track.ID]track.Upload
	failures map[track.ID]error // of those that are not settled
}

// confirm settles the open ones among uploads. A dry run tells what that would do.
func (in *Ingester) confirm(ctx context.Context, uploads []track.Upload, dryRun bool) batch {
	findings, failures := in.look(ctx, uploads)
	b := batch{make(map[track.ID]bool), make(map[track.ID]track.Upload), failures}
	if len(findings) == 0 {
		return b
	}
	done, err := in.settle(ctx, findings, dryRun)
	for _, u := range done.Settled {
		b.settled[u.ID] = u
	}
	for _, f := range findings {
		b.found[f.UploadID] = true
		if _, settled := b.settled[f.UploadID]; settled {
			continue
		}
		if why := errors.Join(done.Refused[f.UploadID], err); why != nil {
			b.failures[f.UploadID] = fmt.Errorf("upload %s: %w", f.UploadID, why)
		}
	}
	if !dryRun {
		in.report(ctx, done)
	}
	return b
}

// look checks the bytes of the open ones among uploads. Uploads whose bytes are not
// there have neither a finding nor a failure.
func (in *Ingester) look(ctx context.Context, uploads []track.Upload) ([]track.Finding, map[track.ID]error) {
	// Time is left for the statement: what was found is worth settling though one object
	// is slow.
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(deadline)*3/4)
		defer cancel()
	}
	var (
		mu       sync.Mutex
		findings []track.Finding
		failures = make(map[track.ID]error)
		looks    errgroup.Group
	)
	looks.SetLimit(looksAtOnce)
	for _, u := range uploads {
		if !u.IsOpen() {
			continue
		}
		looks.Go(func() error {
			f, err := in.lookAt(ctx, u)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				findings = append(findings, f)
			case !errors.Is(err, track.ErrNotFound):
				failures[u.ID] = fmt.Errorf("upload %s: %w", u.ID, err)
			}
			return nil
		})
	}
	_ = looks.Wait() // failures has the errors
	return findings, failures
}

func (in *Ingester) lookAt(ctx context.Context, u track.Upload) (track.Finding, error) {
	b, ok := in.Backends[u.Backend]
	if !ok {
		return track.Finding{}, fmt.Errorf("the %s storage is not configured here", u.Backend)
	}
	return in.check(ctx, b, u)
}

// settle is SettleUploads, tried again where its outcome is not clear: what took effect
// before the connection broke is not done twice, for those uploads are settled by then.
func (in *Ingester) settle(ctx context.Context, findings []track.Finding, dryRun bool) (track.Settlement, error) {
	pause := 50 * time.Millisecond
	for attempt := 1; ; attempt++ {
		done, err := in.Uploads.SettleUploads(ctx, findings, dryRun)
		if err == nil || !track.IsRetryable(err) || attempt == 3 {
			return done, err
		}
		in.Log.WarnContext(ctx, "settling uploads failed, and is tried again", "uploads", len(findings), "err", err)
		select {
		case <-ctx.Done():
			return done, err
		case <-time.After(pause):
			pause *= 2
		}
	}
}

// report logs and measures what this call settled.
func (in *Ingester) report(ctx context.Context, done track.Settlement) {
	states := make(map[track.UploadState]int)
	reasons := make(map[track.Reason]int)
	for _, u := range done.Settled {
		in.Log.InfoContext(ctx, "upload settled", "upload_id", u.ID, "track_id", u.TrackID, "key", u.Key,
			"backend", u.Backend, "state", u.State, "reason", u.Reason)
		states[u.State]++
		if u.Reason != "" {
			reasons[u.Reason]++
		}
	}
	for id, why := range done.Refused {
		in.Log.ErrorContext(ctx, "the platform's table did not take an upload's file", "upload_id", id, "err", why)
	}
	in.Metrics.Emit(
		metrics.Count("UploadsStored", states[track.UploadStored]),
		metrics.Count("UploadsFailed", states[track.UploadFailed]),
		metrics.Count("UploadsAborted", states[track.UploadAborted]),
	)
	for reason, n := range reasons {
		in.Metrics.With("Reason", string(reason)).Emit(metrics.Count("UploadsFailed", n))
	}
}
