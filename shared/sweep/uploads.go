package sweep

import (
	"errors"
	"slices"
	"time"

	"trackstore/shared/track"
)

// settleUploads looks at every pending upload: its event may be lost. Those whose bytes
// are there are settled; of the others, those that are overdue expire.
func (r *run) settleUploads() {
	var last track.Upload
	for r.goOn() {
		pending, err := r.Store.UnsettledUploads(r.ctx, last, batchSize)
		if err != nil {
			r.failed(err)
			return
		}
		if len(pending) == 0 {
			return
		}
		last = pending[len(pending)-1]
		pending = slices.DeleteFunc(pending, func(u track.Upload) bool { return r.there[u.Backend] == nil })
		r.settle(pending)
	}
}

// settle confirms uploads, and lets those expire that are overdue and whose bytes are not
// there. The rest waits: also an overdue one that could not be looked at.
func (r *run) settle(pending []track.Upload) {
	ids := make([]track.ID, len(pending))
	for i, u := range pending {
		ids[i] = u.ID
	}
	confirm := r.Confirm.Confirm
	if r.DryRun {
		confirm = r.Confirm.Preview
	}
	settled, err := confirm(r.ctx, ids...)
	if err != nil {
		r.failed(err)
	}
	var overdue []track.Upload
	for _, u := range settled {
		switch u.State {
		case track.UploadStored:
			r.did(action("confirm", u, string(u.State)), &r.counts.Stored)
		case track.UploadFailed:
			r.did(action("confirm", u, string(u.Reason)), &r.counts.Refused)
		case track.UploadAborted:
			r.did(action("confirm", u, "its track is deleted"), &r.counts.Aborted)
		case track.UploadPending:
			// The error does not tell of which uploads it is: look once more.
			if r.isOverdue(u) && (err == nil || r.isAbsent(u)) {
				overdue = append(overdue, u)
			}
		}
	}
	if len(overdue) > 0 {
		r.expire(overdue)
	}
}

func (r *run) isOverdue(u track.Upload) bool { return u.ExpiresAt.Before(time.Now()) }

func (r *run) isAbsent(u track.Upload) bool {
	_, err := r.there[u.Backend].Head(r.ctx, u.Key, "")
	return errors.Is(err, track.ErrNotFound)
}

// expire gives uploads up. The row goes first, so that nobody is told "stored" of what is
// about to go. A crash before the abort leaves parts that sweepMultiparts finds; bytes
// that come by a URL that is good for a moment longer are discards already.
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
