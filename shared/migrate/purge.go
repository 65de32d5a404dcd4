package migrate

import (
	"context"
	"errors"
	"iter"
	"slices"
	"sync"
	"time"

	"trackstore/shared/track"
)

// Purges keeps which local copies are marked for removal. Each call may be repeated, also
// after track.ErrUnavailable, but for Mark: then the copy may be marked, and a second call
// answers that it marked nothing.
type Purges interface {
	// Purgeable yields the tracks that were moved to S3 longer than grace ago, whose row still
	// names that object, and whose local copy is not marked. It ends after an error.
	Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error]
	// Unfinished yields the marked copies whose removal is not noted: their track, and the path.
	// It ends after an error.
	Unfinished(ctx context.Context) iter.Seq2[track.Copies, error]
	// Mark marks the local copy, which has these paths, if the track is still as c says and its flip
	// is older than grace. After it no rollback uses the file, and the mark stays until the file is
	// gone.
	Mark(ctx context.Context, c track.Copies, paths []string, grace time.Duration) (bool, error)
	// InUse reports whether a track needs the file that it names by one of these paths: it is
	// local, or about to be, for a rollback of it is under way; or it was, within grace, and a
	// database that is restored may name the file again. A track that was deleted within grace
	// needs what it did before. Once a mark is committed, whoever did not see it shows here.
	InUse(ctx context.Context, paths []string, grace time.Duration) (bool, error)
	// Unlinked notes that a marked copy is gone.
	Unlinked(ctx context.Context, paths []string) error
	// LocalPaths yields the file_path of every track that needs its file, as InUse has it. It ends
	// after an error.
	LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
}

// LocalFiles is the disk, as far as files are removed.
type LocalFiles interface {
	Files
	// PlainPaths returns the plain paths of the file that a path leads to, with no link in them:
	// the one relative to the root, and the absolute one.
	PlainPaths(filePath string) ([]string, error)
	// Identity describes the file that a path leads to, also one outside of the root.
	Identity(filePath string) (track.FileIdentity, error)
	// MayRemove tells beforehand whether RemoveFile could remove a name: track.ErrPlace where the
	// whole disk is read-only.
	MayRemove(filePath string) error
	// RemoveFile removes a name: a file or a link.
	RemoveFile(filePath string) error
}

// Purged is what Purge did.
type Purged struct {
	Purged   int64 `json:"purged"` // files
	Bytes    int64 `json:"bytes"`  // of them
	Absent   int64 `json:"absent"` // were gone before
	Findings int64 `json:"findings"`
}

// Purger is what a purge works with, and what it covers. Found is called one finding at a time.
type Purger struct {
	Purges Purges
	Files  LocalFiles
	Bucket Bucket
	Found  func(Finding)

	Only   []track.ID // the copies of these tracks alone; empty: of all
	Limit  int        // files that are deleted at most; 0: no limit
	DryRun bool       // everything is compared, nothing is marked or deleted
}

// Purge deletes the local copies of tracks that were moved to S3 longer than grace ago.
// Each is compared first: the object, the file, and what was recorded at the flip. A file
// that another track needs stays, by whatever path that one names it: see Purges.InUse.
func (p Purger) Purge(ctx context.Context, grace time.Duration) (Purged, error) {
	if err := prove(ctx, p.Files, p.Bucket); err != nil {
		return Purged{}, err
	}
	run := &purge{Purger: p, buffers: newBuffers(), grace: grace}
	if err := run.learn(ctx); err != nil {
		return run.result, err
	}
	every := func(track.Copies) bool { return true }
	if err := each(ctx, run.untilEnough(p.Chosen(p.Purges.Unfinished(ctx))), every, run.resume); err != nil {
		return run.result, err
	}
	err := each(ctx, run.untilEnough(p.Chosen(p.Purges.Purgeable(ctx, grace))), every, run.purge)
	return run.result, err
}

// purge is a Purge under way.
type purge struct {
	Purger
	buffers *buffers
	grace   time.Duration
	needed  needed

	mu     sync.Mutex
	result Purged
	taken  int // copies that are deleted, or about to be
}

// purge compares and removes one local copy.
func (p *purge) purge(ctx context.Context, c track.Copies) error {
	if name := c.Object.Bucket; name != "" && name != p.Bucket.Bucket() {
		return p.keep(finding(ObjectMissing, c, "it lies in the bucket "+name+", and not in this one"))
	}
	object, notCurrent, err := headPinned(ctx, p.Bucket, c.Object)
	if errors.Is(err, track.ErrNotFound) {
		return p.keep(finding(ObjectMissing, c, err.Error()))
	}
	if err != nil {
		return err
	}
	if notCurrent != "" { // somebody has removed or replaced it: the copy on disk may be the last that is safe
		return p.keep(finding(NotCurrent, c, notCurrent))
	}
	found, err := objectDigest(ctx, p.Bucket, object)
	if err != nil {
		findings, err := notRead(ctx, p.Files, p.Bucket, c, err)
		for _, f := range findings {
			_ = p.keep(f)
		}
		return err
	}
	if detail := c.Object.Differs(found); detail != "" {
		return p.keep(finding(ObjectDiffers, c, detail))
	}
	found, err = readFile(ctx, p.Files, p.buffers, c.FilePath)
	switch detail := c.Object.Differs(found); {
	case errors.Is(err, track.ErrNotFound):
		return p.count(func(r *Purged) { r.Absent++ })
	case saysNothing(err) || ctx.Err() != nil:
		return err
	case err != nil:
		return p.keep(finding(LocalUnreadable, c, err.Error()))
	case detail != "":
		return p.keep(finding(LocalDiffers, c, detail))
	}
	names, marks, err := p.paths(c.FilePath)
	if saysNothing(err) {
		return err
	} else if err != nil {
		return p.keep(finding(LocalUnreadable, c, err.Error()))
	}
	if shared, err := p.isShared(ctx, c, names); err != nil || shared {
		return err
	}
	if err := p.Files.MayRemove(c.FilePath); saysNothing(err) {
		return err
	} else if err != nil {
		return p.keep(finding(LocalUnreadable, c, err.Error()))
	}
	if !p.take() {
		return nil
	}
	if p.DryRun {
		return p.removed(c)
	}
	// R6: the mark goes first. From here on no rollback uses the file, and a crash leaves a
	// marked file, which the next purge or the sweep removes.
	marked, err := p.Purges.Mark(ctx, c, marks, p.grace)
	if err != nil || !marked {
		return err // not marked: replaced, deleted or rolled back meanwhile
	}
	err = patiently(ctx, firstBackoff, func() error { return p.finish(ctx, c, names, marks) })
	if track.IsRetryable(err) { // a second call would find the track marked, and leave it
		return p.keep(finding(LocalUnreadable, c, "marked, and not removed yet; the next purge goes on with it: "+err.Error()))
	}
	return err
}

// resume removes a copy that an earlier purge marked. A path that leads elsewhere is left for
// as long as it does: the file there may be another by now, which nobody has compared, and the
// marked one has a note of its own.
func (p *purge) resume(ctx context.Context, c track.Copies) error {
	names, marks, err := p.paths(c.FilePath)
	if saysNothing(err) {
		return err
	} else if err != nil {
		return p.keep(finding(LocalUnreadable, c, err.Error()))
	}
	if len(marks) > 1 || !p.take() {
		return nil
	}
	if p.DryRun {
		return p.removed(c)
	}
	return p.finish(ctx, c, names, marks)
}

// finish removes a marked copy. A rollback of another track that names the same file may
// have looked before the mark was there: its lease, or the row that it made local, shows.
// One that claims after this look finds the mark. So the mark stays even where the file does:
// another purge may have looked earlier, and be about to remove it.
func (p *purge) finish(ctx context.Context, c track.Copies, names, marks []string) error {
	if shared, err := p.isShared(ctx, c, names); err != nil || shared {
		return err
	}
	for _, path := range marks { // the file itself, then the link that led to it
		if err := p.Files.RemoveFile(path); err != nil && !errors.Is(err, track.ErrNotFound) {
			if saysNothing(err) {
				return err
			}
			return p.keep(finding(LocalUnreadable, c, err.Error()))
		}
	}
	if err := p.Purges.Unlinked(ctx, marks); err != nil {
		return err
	}
	return p.removed(c)
}

func (p *purge) removed(c track.Copies) error {
	return p.count(func(r *Purged) {
		r.Purged++
		if c.Object != nil { // it is not known of a copy that an earlier purge marked
			r.Bytes += c.Object.Digest.Size
		}
	})
}

// paths returns by which names of a file its use shows, and which are marked and removed: a
// plain one is enough, for who looks for marks asks for both plain ones.
func (p *purge) paths(filePath string) (names, marks []string, err error) {
	plain, err := p.Files.PlainPaths(filePath)
	if errors.Is(err, track.ErrNotFound) {
		return []string{filePath}, []string{filePath}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	names = slices.Concat(plain, p.needed.odd[plain[0]], []string{filePath})
	if slices.Contains(plain, filePath) {
		return names, []string{filePath}, nil
	}
	return names, []string{plain[0], filePath}, nil
}

// isShared reports whether another track needs the file. Then the file is kept.
func (p *purge) isShared(ctx context.Context, c track.Copies, names []string) (bool, error) {
	inUse, err := p.Purges.InUse(ctx, names, p.grace)
	if err != nil {
		return false, err
	}
	id, err := p.Files.Identity(c.FilePath)
	switch {
	case saysNothing(err):
		return false, err
	case err != nil && !errors.Is(err, track.ErrNotFound):
		return true, p.keep(finding(LocalUnreadable, c, err.Error()))
	case !inUse && (err != nil || !p.needed.has(c.FilePath, id)):
		return false, nil
	}
	return true, p.keep(finding(LocalShared, c, "another track needs the same file: it is local, or was within the grace"))
}

func (p *purge) keep(f Finding) error {
	return p.count(func(r *Purged) {
		r.Findings++
		p.Found(f)
	})
}

func (p *purge) count(f func(*Purged)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.result)
	return nil
}
