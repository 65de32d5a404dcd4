package sweep

import (
	"context"
	"slices"
	"time"

	"trackstore/shared/track"
)

// settleUploads looks at every pending upload: its event may be lost. Those whose bytes
// are there are settled; of the others, those that are overdue expire.
func (r *run) settleUploads() {
	r.lookAtAll(r.Store.UnsettledUploads, func(absent []track.Upload) {
		overdue := slices.DeleteFunc(absent, func(u track.Upload) bool { return u.State != track.UploadExpired })
		if len(overdue) > 0 {
			r.expire(overdue)
		}
	})
}

// settleLate looks at every upload that is expired and whose grace is not over: its bytes may
// have come since, for a request that began in time is not refused.
func (r *run) settleLate() {
	r.lookAtAll(r.Store.LateUploads, func([]track.Upload) {})
}

// lookAtAll confirms all uploads that next lists, each once, a batch at a time; then sees to
// those whose bytes are not there.
func (r *run) lookAtAll(next func(context.Context, track.LookSpec) ([]track.Upload, error), see func(absent []track.Upload)) {
	spec := track.LookSpec{Limit: batchSize, Grace: r.Grace, DryRun: r.DryRun}
	for r.goOn() {
		spec.Since = time.Since(r.started)
		uploads, err := next(r.ctx, spec)
		if err != nil {
			r.failed(err)
			return
		}
		if len(uploads) == 0 {
			return
		}
		spec.After = uploads[len(uploads)-1]
		see(r.confirm(slices.DeleteFunc(uploads, func(u track.Upload) bool { return r.there[u.Backend] == nil })))
	}
}

// confirm settles uploads whose bytes are there, and returns those whose bytes are not. One that
// could not be looked at is neither: it waits for the next sweep.
func (r *run) confirm(uploads []track.Upload) (absent []track.Upload) {
	if len(uploads) == 0 {
		return nil
	}
	ids := make([]track.ID, len(uploads))
	for i, u := range uploads {
		ids[i] = u.ID
	}
	each, err := r.Confirm.ConfirmEach(r.ctx, ids, r.DryRun)
	if err != nil {
		r.failed(err)
		return nil
	}
	for _, c := range each {
		switch {
		case c.Err != nil:
			r.failed(c.Err)
		case c.State == track.UploadStored:
			r.did(action("confirm", c.Upload, string(c.State)), &r.counts.Stored)
		case c.State == track.UploadFailed:
			r.did(action("confirm", c.Upload, string(c.Reason)), &r.counts.Refused)
		case c.State == track.UploadAborted:
			r.did(action("confirm", c.Upload, "its track is deleted"), &r.counts.Aborted)
		default:
			absent = append(absent, c.Upload)
		}
	}
	return absent
}

// expire gives uploads up. The row goes first, so that nobody is told "stored" of what is
// about to go. A crash before the abort leaves parts that sweepMultiparts finds; bytes
// that are in no parts are looked for until their grace is over, and noted for removal then.
func (r *run) expire(overdue []track.Upload) {
	expired := overdue
	if !r.DryRun {
		ids := make([]track.ID, len(overdue))
		for i, u := range overdue {
			ids[i] = u.ID
		}
		var err error
		if expired, err = r.Store.ExpireUploads(r.ctx, ids); err != nil {
			r.failed(err)
			return
		}
	}
	each(expired, func(u track.Upload) {
		r.did(action("expire", u, "nothing came"), &r.counts.Expired)
		if r.DryRun || u.MultipartID == "" {
			return
		}
		if err := r.there[u.Backend].AbortMultipart(r.ctx, u.Key, u.MultipartID); err != nil {
			r.failed(err)
		}
	})
}

// settleNewTracks fails the tracks that nothing comes for, where that could not be done when their uploads were given up
// (they were locked, or a crash came between), and takes away those that were left alone for the grace: nobody can play
// them. Their uploads' bytes are gone by then.
func (r *run) settleNewTracks() {
	if r.DryRun {
		return
	}
	r.rounds("new tracks", func(after string, again bool) (track.LookedAt, error) {
		age := r.Grace + time.Hour // the bytes have gone by then
		if again {
			age = 0
		}
		_, deleted, of, err := r.Store.SettleNewTracks(r.ctx, r.Grace, age, after, partSize)
		r.counts.Abandoned += int(deleted)
		return of, err
	})
}

func action(do string, u track.Upload, why string) Action {
	return Action{Do: do, Backend: u.Backend, Key: u.Key, TrackID: &u.TrackID, Why: why}
}

// sweepMultiparts aborts multipart uploads that are older than an upload can be, unless a
// pending upload or the lease of a migration still uses them. A completed one is no
// multipart upload any more, so no bytes that a row names can be lost here.
func (r *run) sweepMultiparts(name string, b Backend) {
	for _, prefix := range []string{track.UploadsPrefix, track.MigratedPrefix} {
		var stale []track.Multipart
		for m, err := range b.ListMultiparts(r.ctx, prefix) {
			if err != nil {
				r.failed(err)
				break
			}
			if time.Since(m.Started) > r.UploadTTL {
				stale = append(stale, m)
			}
			if len(stale) == batchSize {
				r.abortUnused(name, b, stale)
				stale = nil
			}
			if !r.goOn() {
				break
			}
		}
		r.abortUnused(name, b, stale)
	}
}

func (r *run) abortUnused(name string, b Backend, stale []track.Multipart) {
	if len(stale) == 0 {
		return
	}
	ids, err := r.Store.UsedMultiparts(r.ctx, name, stale)
	if err != nil {
		r.failed(err)
		return
	}
	used := make(map[string]bool)
	for _, id := range ids {
		used[id] = true
	}
	each(stale, func(m track.Multipart) {
		if used[m.ID] {
			return
		}
		if !r.DryRun {
			if err := b.AbortMultipart(r.ctx, m.Key, m.ID); err != nil {
				r.failed(err)
				return
			}
		}
		r.did(Action{Do: "abort", Backend: name, Key: m.Key, Why: "begun " + m.Started.UTC().Format(time.RFC3339)}, &r.counts.Multiparts)
	})
}
