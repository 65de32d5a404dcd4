package migrate

import (
	"context"
	"errors"
	"hash/maphash"
	"iter"
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
	// Mark marks the local copy, if the track is still as l says. After it no rollback uses it.
	Mark(ctx context.Context, l track.Lease, grace time.Duration) (bool, error)
	// Unmark takes a mark back.
	Unmark(ctx context.Context, l track.Lease) error
	// InUse reports whether a local track names the file by one of these paths, or is about
	// to: a rollback of it is under way.
	InUse(ctx context.Context, paths []string) (bool, error)
	// Unlinked notes that a marked copy is gone.
	Unlinked(ctx context.Context, l track.Lease) error
	// LocalPaths yields the file_path of every track that is local.
	LocalPaths(ctx context.Context) iter.Seq2[string, error]
}

// LocalFiles is the disk, as far as files are removed.
type LocalFiles interface {
	Files
	// ResolveFile returns the path, with no link in it, of the file that a path leads to.
	ResolveFile(filePath string) (string, error)
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
// that a local track names, by whatever path, stays.
func Purge(
	ctx context.Context, purges Purges, files LocalFiles, bucket Bucket, grace time.Duration, found func(Finding),
) (Purged, error) {
	if err := reachable(ctx, files, bucket); err != nil {
		return Purged{}, err
	}
	p := &purger{purges: purges, files: files, bucket: bucket, buffers: newBuffers(), grace: grace, found: found}
	var err error
	if p.named, err = resolveAll(purges.LocalPaths(ctx), files); err != nil {
		return Purged{}, err
	}
	every := func(track.Lease) bool { return true }
	if err := each(ctx, purges.Unfinished(ctx), every, p.finish); err != nil {
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
	named   pathSet // files of local tracks
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
	if p.isNamed(l.FilePath) {
		return p.keep(finding(LocalShared, l, "a local track names the same file"))
	}
	// R6: the mark goes first. From here on no rollback uses the file, and a crash leaves a
	// marked file, which the next purge or the sweep removes.
	marked, err := p.purges.Mark(ctx, l, p.grace)
	if err != nil || !marked {
		return err // not marked: replaced, deleted or rolled back meanwhile
	}
	return p.finish(ctx, l)
}

// finish removes a marked copy. A rollback of another track that names the same file may
// have looked before the mark was there: its lease, or the row that it made local, shows.
func (p *purger) finish(ctx context.Context, l track.Lease) error {
	paths := []string{l.FilePath}
	resolved, err := p.files.ResolveFile(l.FilePath)
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return p.keep(finding(LocalUnreadable, l, err.Error()))
	}
	if err == nil && resolved != l.FilePath {
		paths = append(paths, resolved)
	}
	inUse, err := p.purges.InUse(ctx, paths)
	if err != nil {
		return err
	}
	if inUse || p.isNamed(l.FilePath) {
		if err := p.purges.Unmark(ctx, l); err != nil {
			return err
		}
		return p.keep(finding(LocalShared, l, "a local track names the same file"))
	}
	for i := len(paths) - 1; i >= 0; i-- { // the file itself, then the link that led to it
		if err := p.files.RemoveFile(paths[i]); err != nil && !errors.Is(err, track.ErrNotFound) {
			if errors.Is(err, track.ErrUnavailable) {
				return err
			}
			return p.keep(finding(LocalUnreadable, l, err.Error()))
		}
	}
	if err := p.purges.Unlinked(ctx, l); err != nil {
		return err
	}
	return p.count(func(r *Purged) { r.Purged++; r.Bytes += l.Size })
}

func (p *purger) isNamed(filePath string) bool {
	resolved, err := p.files.ResolveFile(filePath)
	return err == nil && p.named.has(resolved)
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

// pathSet is a set of paths in 8 bytes each. It may take a path for one of its own that it
// is not, once in 10^12 questions of a set of 10^7.
type pathSet struct {
	seed   maphash.Seed
	hashes map[uint64]struct{}
}

func newPathSet() pathSet { return pathSet{maphash.MakeSeed(), map[uint64]struct{}{}} }

func (s pathSet) add(path string) { s.hashes[maphash.String(s.seed, path)] = struct{}{} }

func (s pathSet) has(path string) bool {
	_, ok := s.hashes[maphash.String(s.seed, path)]
	return ok
}

// resolveAll returns the files that paths lead to. Two paths are one file if they resolve
// to the same: absolute or relative, with links or without.
func resolveAll(paths iter.Seq2[string, error], files LocalFiles) (pathSet, error) {
	set := newPathSet()
	for path, err := range paths {
		if err != nil {
			return set, err
		}
		if resolved, err := files.ResolveFile(path); err == nil {
			set.add(resolved)
		}
	}
	return set, nil
}
