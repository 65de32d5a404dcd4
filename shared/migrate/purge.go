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

// Purges keeps which local copies are marked for removal; see pgstore.
type Purges interface {
	// Purgeable yields the tracks that were moved to S3 longer than grace ago and whose
	// local copy is not marked.
	Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Lease, error]
	// Unfinished yields the marked copies whose removal is not noted. FilePath and TrackID
	// are set.
	Unfinished(ctx context.Context) iter.Seq2[track.Lease, error]
	// Mark marks the local copy, which has these paths, if the track is still as l says. After
	// it no rollback uses the file, and it stays until the file is gone.
	Mark(ctx context.Context, l track.Lease, paths []string, grace time.Duration) (bool, error)
	// InUse reports whether a track needs the file that it names by one of these paths: it is
	// local, or about to be, for a rollback of it is under way; or it was, within grace.
	InUse(ctx context.Context, paths []string, grace time.Duration) (bool, error)
	// Unlinked notes that a marked copy is gone.
	Unlinked(ctx context.Context, paths []string) error
	// LocalPaths yields the file_path of every track that is local, and not deleted longer than
	// grace ago.
	LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
}

// LocalFiles is the disk, as far as files are removed.
type LocalFiles interface {
	Files
	// PlainPaths returns the plain paths of the file that a path leads to, with no link in them:
	// the one relative to the root, and the absolute one.
	PlainPaths(filePath string) ([]string, error)
	// OddPaths returns those of the paths that are not plain, by the plain relative one.
	OddPaths(filePaths iter.Seq2[string, error]) (map[string][]string, error)
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

// Purge deletes the local copies of tracks that were moved to S3 longer than grace ago.
// Each is compared first: the object, the file, and what was recorded at the flip. A file
// that another track needs stays, by whatever path that one names it: see Purges.InUse.
func Purge(
	ctx context.Context, purges Purges, files LocalFiles, bucket Bucket, grace time.Duration, found func(Finding),
) (Purged, error) {
	if err := reachable(ctx, files, bucket); err != nil {
		return Purged{}, err
	}
	p := &purger{purges: purges, files: files, bucket: bucket, buffers: newBuffers(), grace: grace, found: found}
	var err error
	if p.odd, err = files.OddPaths(purges.LocalPaths(ctx, grace)); err != nil {
		return Purged{}, err
	}
	every := func(track.Lease) bool { return true }
	if err := each(ctx, purges.Unfinished(ctx), every, p.resume); err != nil {
		return p.result, err
	}
	err = each(ctx, purges.Purgeable(ctx, grace), every, p.purge)
	return p.result, err
}

type purger struct {
	purges  Purges
	files   LocalFiles
	bucket  Bucket
	buffers *buffers
	grace   time.Duration
	odd     map[string][]string // of local tracks
	found   func(Finding)

	mu     sync.Mutex
	result Purged
}

// purge compares and removes one local copy.
func (p *purger) purge(ctx context.Context, l track.Lease) error {
	object, err := p.bucket.Head(ctx, l.Key, l.VersionID)
	if errors.Is(err, track.ErrNotFound) {
		return p.keep(finding(ObjectMissing, l, err.Error()))
	}
	if err != nil {
		return err
	}
	object.VersionID = l.VersionID
	sum, err := objectSum(ctx, p.bucket, object)
	if err != nil {
		return err
	}
	if detail := differs(l, object.Size, track.HexSum(sum)); detail != "" {
		return p.keep(finding(ObjectDiffers, l, detail))
	}
	size, sum, err := readFile(ctx, p.files, p.buffers, l.FilePath)
	switch detail := differs(l, size, track.HexSum(sum)); {
	case errors.Is(err, track.ErrNotFound):
		return p.count(func(r *Purged) { r.Absent++ })
	case errors.Is(err, track.ErrUnavailable) || ctx.Err() != nil:
		return err
	case err != nil:
		return p.keep(finding(LocalUnreadable, l, err.Error()))
	case detail != "":
		return p.keep(finding(LocalDiffers, l, detail))
	}
	names, marks, err := p.paths(l.FilePath)
	if err != nil {
		return err
	}
	if shared, err := p.isShared(ctx, l, names); err != nil || shared {
		return err
	}
	// R6: the mark goes first. From here on no rollback uses the file, and a crash leaves a
	// marked file, which the next purge or the sweep removes.
	marked, err := p.purges.Mark(ctx, l, marks, p.grace)
	if err != nil || !marked {
		return err // not marked: replaced, deleted or rolled back meanwhile
	}
	err = patiently(ctx, firstBackoff, func() error { return p.finish(ctx, l, names, marks) })
	if track.IsRetryable(err) { // a second call would find the track marked, and leave it
		return p.keep(finding(LocalUnreadable, l, "marked, and not removed yet; the next purge goes on with it: "+err.Error()))
	}
	return err
}

// resume removes a copy that an earlier purge marked. A path that leads elsewhere is left for
// as long as it does: the file there may be another by now, which nobody has compared, and the
// marked one has a note of its own.
func (p *purger) resume(ctx context.Context, l track.Lease) error {
	names, marks, err := p.paths(l.FilePath)
	if err != nil {
		return p.keep(finding(LocalUnreadable, l, err.Error()))
	}
	if len(marks) > 1 {
		return nil
	}
	return p.finish(ctx, l, names, marks)
}

// finish removes a marked copy. A rollback of another track that names the same file may
// have looked before the mark was there: its lease, or the row that it made local, shows.
// One that claims after this look finds the mark. So the mark stays even where the file does:
// another purge may have looked earlier, and be about to remove it.
func (p *purger) finish(ctx context.Context, l track.Lease, names, marks []string) error {
	if shared, err := p.isShared(ctx, l, names); err != nil || shared {
		return err
	}
	for _, path := range marks { // the file itself, then the link that led to it
		if err := p.files.RemoveFile(path); err != nil && !errors.Is(err, track.ErrNotFound) {
			if errors.Is(err, track.ErrUnavailable) {
				return err
			}
			return p.keep(finding(LocalUnreadable, l, err.Error()))
		}
	}
	if err := p.purges.Unlinked(ctx, marks); err != nil {
		return err
	}
	return p.count(func(r *Purged) { r.Purged++; r.Bytes += l.Size })
}

// paths returns by which names of a file its use shows, and which are marked and removed: a
// plain one is enough, for who looks for marks asks for both plain ones.
func (p *purger) paths(filePath string) (names, marks []string, err error) {
	plain, err := p.files.PlainPaths(filePath)
	if errors.Is(err, track.ErrNotFound) {
		return []string{filePath}, []string{filePath}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	names = slices.Concat(plain, p.odd[plain[0]], []string{filePath})
	if slices.Contains(plain, filePath) {
		return names, []string{filePath}, nil
	}
	return names, []string{plain[0], filePath}, nil
}

// isShared reports whether another track needs the file. Then the file is kept.
func (p *purger) isShared(ctx context.Context, l track.Lease, names []string) (bool, error) {
	inUse, err := p.purges.InUse(ctx, names, p.grace)
	if err != nil || !inUse {
		return false, err
	}
	return true, p.keep(finding(LocalShared, l, "another track needs the same file: it is local, or was within the grace"))
}

func (p *purger) keep(f Finding) error {
	return p.count(func(r *Purged) {
		r.Findings++
		p.found(f)
	})
}

func (p *purger) count(f func(*Purged)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	f(&p.result)
	return nil
}
