package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"trackstore/shared/track"
)

// Purges keeps which local copies are marked for removal. Each call may be repeated, also
// after track.ErrUnavailable, but for Mark: then copies may be marked, and a second call
// answers that it did not mark these.
type Purges interface {
	// Purgeable yields the tracks that were moved to S3 longer than grace ago, whose row still
	// names that object, and whose local copy is not marked. It ends after an error.
	Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error]
	// Unfinished yields the marked copies whose removal is not noted: their track, and the path.
	// It ends after an error.
	Unfinished(ctx context.Context) iter.Seq2[track.Copies, error]
	// Mark marks local copies, those whose track is still as they say and whose flip is older than
	// grace, and tells which. After it no rollback uses these files, and the marks stay until the files
	// are gone.
	Mark(ctx context.Context, doomed []track.DoomedFile, grace time.Duration) ([]bool, error)
	// InUse reports of each file whether a track needs it that names it by one of its names: it is
	// local, or about to be, for a rollback of it is under way; or it was, within grace, and a
	// database that is restored may name the file again. A track that was deleted within grace
	// needs what it did before. Once a mark is committed, whoever did not see it shows here.
	InUse(ctx context.Context, files []track.DoomedFile, grace time.Duration) ([]bool, error)
	// IsMarked reports of each file whether its paths are still marked for removal, and not known to be
	// gone: a database that was restored knows of no mark that came after.
	IsMarked(ctx context.Context, files []track.DoomedFile) ([]bool, error)
	// Unlinked notes that marked copies are gone, by their paths.
	Unlinked(ctx context.Context, paths []string) error
	// LocalPaths yields the file_path of every track that needs its file, as InUse has it. It ends
	// after an error.
	LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
}

// LocalFiles is the disk, as far as files are removed.
type LocalFiles interface {
	Files
	track.NeededFiles
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

	Elsewhere track.Elsewhere[Bucket]

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
	if err := run.all(ctx, p.Purges.Unfinished(ctx), run.resume, run.finish); err != nil {
		return run.result, err
	}
	return run.result, run.all(ctx, p.Purges.Purgeable(ctx, grace), run.compare, run.remove)
}

// purge is a Purge under way.
type purge struct {
	Purger
	buffers *buffers
	grace   time.Duration
	needed  *track.Needed // by tracks on disk

	mu     sync.Mutex
	result Purged
	taken  int // copies that are deleted, or about to be
}

// learn looks at the file of every track that needs one. A path that cannot be followed is a finding of its own, and keeps
// no other track waiting.
func (p *purge) learn(ctx context.Context) error {
	unseen := map[string]error{}
	err := patiently(ctx, firstBackoff, func() error {
		p.needed = track.NewNeeded(p.Files)
		return p.needed.LearnAll(ctx, p.Purges.LocalPaths(ctx, p.grace), func(filePath string, err error) { unseen[filePath] = err })
	})
	for filePath, err := range unseen {
		detail := fmt.Sprintf("a track needs this file, and which one it is cannot be seen: %v", err)
		_ = p.keep(Finding{Kind: LocalUnreadable, Path: filePath, Detail: detail})
	}
	return err
}

// compare looks at one local copy, and returns it if nothing of its own speaks against removing it.
func (p *purge) compare(ctx context.Context, c track.Copies) (*track.DoomedFile, error) {
	object, notCurrent, err := headPinned(ctx, p.Bucket, p.Elsewhere, c.Object)
	if err != nil {
		return nil, p.unread(ctx, c, err)
	}
	if notCurrent != "" { // somebody has removed or replaced it: the copy on disk may be the last that is safe
		return nil, p.keep(finding(NotCurrent, c, notCurrent))
	}
	found, err := object.digest(ctx)
	if err != nil {
		return nil, p.unread(ctx, c, err)
	}
	if detail := c.Object.Differs(found); detail != "" {
		return nil, p.keep(finding(ObjectDiffers, c, detail))
	}
	found, err = readFile(ctx, p.Files, p.buffers, c.FilePath)
	switch detail := c.Object.Differs(found); {
	case errors.Is(err, track.ErrNotFound):
		return nil, p.count(func(r *Purged) { r.Absent++ })
	case saysNothing(err) || ctx.Err() != nil:
		return nil, err
	case err != nil:
		return nil, p.keep(finding(LocalUnreadable, c, err.Error()))
	case detail != "":
		return nil, p.keep(finding(LocalDiffers, c, detail))
	}
	doomed, err := p.doomed(c)
	if doomed == nil || err != nil {
		return nil, err
	}
	if err := p.Files.MayRemove(c.FilePath); saysNothing(err) {
		return nil, err
	} else if err != nil {
		return nil, p.keep(finding(LocalUnreadable, c, err.Error()))
	}
	return doomed, nil
}

// unread keeps a copy whose object could not be looked at or read.
func (p *purge) unread(ctx context.Context, c track.Copies, err error) error {
	findings, err := notRead(ctx, p.Files, p.Bucket, c, err)
	for _, f := range findings {
		_ = p.keep(f)
	}
	return err
}

// resume returns a copy that an earlier purge marked. A path that leads elsewhere is left for
// as long as it does: the file there may be another by now, which nobody has compared, and the
// marked one has a note of its own.
func (p *purge) resume(_ context.Context, c track.Copies) (*track.DoomedFile, error) {
	doomed, err := p.doomed(c)
	if doomed == nil || err != nil || len(doomed.Marks) > 1 || !p.take() {
		return nil, err
	}
	return doomed, nil
}

// doomed finds out the paths of a copy. Where they cannot be told, the copy is kept.
func (p *purge) doomed(c track.Copies) (*track.DoomedFile, error) {
	names, marks, err := p.paths(c.FilePath)
	if saysNothing(err) {
		return nil, err
	} else if err != nil {
		return nil, p.keep(finding(LocalUnreadable, c, err.Error()))
	}
	if i := slices.IndexFunc(names, func(name string) bool { return !utf8.ValidString(name) }); i >= 0 {
		return nil, p.keep(finding(LocalUnreadable, c, fmt.Sprintf("it lies at %q, which is no text: nobody could note that it goes", names[i])))
	}
	return &track.DoomedFile{Copies: c, Names: names, Marks: marks}, nil
}

func (p *purge) removed(c track.Copies) {
	_ = p.count(func(r *Purged) {
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
	names = slices.Concat(plain, p.needed.Odd[plain[0]], []string{filePath})
	if slices.Contains(plain, filePath) {
		return names, []string{filePath}, nil
	}
	return names, []string{plain[0], filePath}, nil
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
