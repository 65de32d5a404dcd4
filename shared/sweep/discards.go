package sweep

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"trackstore/shared/track"
)

// noteDeleted notes the bytes of tracks that were deleted, by trackstore or by the
// platform, longer than the grace ago. Nothing is removed here.
func (r *run) noteDeleted() {
	r.rounds("deleted tracks", func(after string, _ bool) (track.LookedAt, error) {
		left, of, err := r.Store.DeletedBytes(r.ctx, r.Grace, after, partSize)
		if err != nil {
			return of, err
		}
		if r.DryRun {
			for name, b := range r.there {
				r.wouldRemove(b, ofBackend(name, left))
			}
		} else if _, err := r.Store.NoteDiscards(r.ctx, left); err != nil {
			// One that the database refuses is looked at again in the next round.
			if !errors.Is(err, track.ErrRefused) {
				return track.LookedAt{}, err
			}
			r.failed(err)
		}
		r.counts.Deleted += tracks(left)
		return of, nil
	})
}

// ofBackend returns the discards of one backend.
func ofBackend(backend string, discards []track.Discard) []track.Discard {
	var its []track.Discard
	for _, d := range discards {
		if d.Backend == backend {
			its = append(its, d)
		}
	}
	return its
}

func tracks(discards []track.Discard) int {
	ids := make(map[track.ID]struct{})
	for _, d := range discards {
		ids[d.TrackID] = struct{}{}
	}
	return len(ids)
}

// sweepDiscards removes what is due on a backend: mark, remove, note that it is gone. A
// note whose removal was cut short, before or after the bytes went, is due again.
func (r *run) sweepDiscards(name string, b Backend) {
	for again := true; again; { // some make new notes, which may be due at once
		again = false
		var last track.Discard
		for r.goOn() {
			due, err := r.Store.DueDiscards(r.ctx, name, r.Grace, last, batchSize)
			if err != nil {
				r.failed(err)
				return
			}
			if len(due) == 0 {
				break
			}
			last = due[len(due)-1]
			again = r.remove(b, due) || again
		}
	}
}

// remove removes the bytes of due notes, unless something names them again. It reports
// whether it has made more notes.
func (r *run) remove(b Backend, due []track.Discard) (more bool) {
	due, names := r.named(r.stillDue(due))
	if len(due) == 0 {
		return false
	}
	marked, err := r.Store.MarkDiscards(r.ctx, due, names, r.Grace, r.DryRun)
	if err != nil {
		r.failed(err)
		return false
	}
	var removable []track.Discard
	for _, d := range due {
		switch isMarked, known := marked[d.ID]; {
		case isMarked:
			removable = append(removable, d)
		case known && !isFolder(d):
			r.did(removal("keep", d, "something names it again"), &r.counts.Kept)
		}
	}
	if r.DryRun {
		r.wouldRemove(b, removable)
		return false
	}
	// Marked, and the mark is committed: from here on nobody makes a row name these bytes.
	var mu sync.Mutex
	var done []track.Discard
	noted := int64(0)
	each(removable, func(d track.Discard) {
		gone, n, err := r.removeIn(b, d)
		if err != nil {
			r.failed(err)
			return
		}
		mu.Lock()
		defer mu.Unlock()
		noted += n
		if gone {
			done = append(done, d)
		}
	})
	// A crash before this leaves notes of bytes that are gone: to remove them again is no error.
	if len(done) > 0 {
		if err := r.Store.DiscardsGone(r.ctx, done); err != nil {
			r.failed(err)
			return false
		}
	}
	return noted > 0
}

// stillDue leaves those of due notes whose bytes no upload wants: before the bytes of an expired
// one go, they are looked for once more, as their event may be lost. What came before this look
// is stored, what comes after it has come after the grace. One that could not be looked at, or
// whose track could not be made to name it, waits for the next sweep.
func (r *run) stillDue(due []track.Discard) []track.Discard {
	isLate := func(d track.Discard) bool { return d.Reason == "expired" }
	var keys []string
	for _, d := range due {
		if isLate(d) {
			keys = append(keys, d.Key)
		}
	}
	if len(keys) == 0 {
		return due
	}
	uploads, err := r.Store.UploadsByKey(r.ctx, keys)
	if err != nil {
		r.failed(err)
		return slices.DeleteFunc(due, isLate)
	}
	uploads = slices.DeleteFunc(uploads, func(u track.Upload) bool { return u.State != track.UploadExpired })
	wanted := make(map[string]bool)
	for _, u := range uploads {
		wanted[u.Key] = true
	}
	for _, u := range r.confirm(uploads) {
		delete(wanted, u.Key)
	}
	return slices.DeleteFunc(due, func(d track.Discard) bool { return wanted[d.Key] })
}

// errNotNow is of a note that is not as it was when it was marked.
var errNotNow = errors.New("the note of its removal has changed")

// removeOne removes what a marked note names. It tells whether that is gone now, and how
// many others it has noted, which have to go first or besides.
func (r *run) removeOne(b Backend, d track.Discard) (gone bool, noted int64, err error) {
	if isFolder(d) {
		noted, err = r.noteContents(b, d)
		return err == nil, noted, err
	}
	// A rollback looks for marks of a file's plain paths alone. An odd one is removed when it
	// leads nowhere any more, by the next sweep.
	if plain, isOdd := r.plain(d); isOdd {
		noted, err = r.Store.NoteDiscards(r.ctx, []track.Discard{plain})
		return false, noted, err
	}
	// R8: whoever is stopped between mark and removal looks again. A database that does not
	// answer keeps the bytes.
	mayGo := func(ctx context.Context) error {
		may, err := r.Store.MayGo(ctx, d, r.Grace)
		if err == nil && !may {
			err = errNotNow
		}
		return err
	}
	switch err := b.Remove(r.ctx, d.Key, mayGo); {
	case errors.Is(err, errNotNow):
		return false, 0, nil // another sweep has seen to it, or the next one does
	case errors.Is(err, track.ErrNotRegular):
		r.did(removal("keep", d, "not a file"), &r.counts.Kept)
		return false, 0, nil
	case err != nil:
		return false, 0, err
	}
	r.did(removal("remove", d, d.Reason), &r.counts.Removed)
	return true, 0, nil
}

// noteContents notes what lies in the folder of a deleted track. Each then goes by itself,
// and only if nothing names it.
func (r *run) noteContents(b Backend, folder track.Discard) (noted int64, err error) {
	var contents []track.Discard
	for o, err := range b.List(r.ctx, folder.Key) {
		if err != nil {
			return 0, err
		}
		contents = append(contents, content(folder, o))
	}
	return r.Store.NoteDiscards(r.ctx, contents)
}

// content is the discard of what lies in a folder. Its grace begins when it was written,
// where that was after the deletion.
func content(folder track.Discard, o track.Object) track.Discard {
	d := track.Discard{TrackID: folder.TrackID, Backend: folder.Backend, Key: o.Key, Reason: "orphaned", DiscardedAt: folder.DiscardedAt, Bucket: folder.Bucket}
	if o.ModTime.After(d.DiscardedAt) {
		d.DiscardedAt = o.ModTime
	}
	return d
}

// wouldRemove tells of what would be removed.
func (r *run) wouldRemove(b Backend, discards []track.Discard) {
	told := make(map[string]bool)
	tell := func(d track.Discard) {
		if !told[d.Key] && time.Since(d.DiscardedAt) >= r.Grace {
			told[d.Key] = true
			r.did(removal("remove", d, d.Reason), &r.counts.Removed)
		}
	}
	for _, d := range discards {
		if !isFolder(d) {
			tell(d)
			continue
		}
		for o, err := range b.List(r.ctx, d.Key) {
			if err != nil {
				r.failed(err)
				break
			}
			tell(content(d, o))
		}
	}
}

func isFolder(d track.Discard) bool { return strings.HasSuffix(d.Key, "/") }

func removal(do string, d track.Discard, why string) Action {
	return Action{Do: do, Backend: d.Backend, Key: d.Key, TrackID: &d.TrackID, Why: why}
}
