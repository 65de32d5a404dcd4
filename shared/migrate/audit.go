package migrate

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"iter"
	"sync"
	"time"

	"trackstore/shared/track"
)

// Uses says what bytes are for, as far as the database knows; see pgstore.
type Uses interface {
	// Stored yields every track that names bytes and is not deleted.
	Stored(ctx context.Context) iter.Seq2[track.Lease, error]
	// UseOf tells what an object (backend s3), or a file by any of its paths (local), is for now.
	UseOf(ctx context.Context, backend string, names ...string) (track.Use, error)
	Names(ctx context.Context, l track.Lease) (bool, error)
	// LeftPaths yields the paths of files that tracks gave up within grace.
	LeftPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error]
}

// Listed is a backend whose contents can be listed.
type Listed interface {
	List(ctx context.Context, prefix string) iter.Seq2[track.Object, error]
}

// ListedBucket is S3, as far as an audit needs it.
type ListedBucket interface {
	Bucket
	Listed
}

// ListedFiles is the disk, as far as an audit needs it.
type ListedFiles interface {
	LocalFiles
	// List yields a folder that cannot be read with the error, and goes on after it.
	Listed
}

// Audited is what Audit looked at.
type Audited struct {
	Rows        int64 `json:"rows"`
	Files       int64 `json:"files"`
	Objects     int64 `json:"objects"`
	WithinGrace int64 `json:"within_grace"` // files and objects without rows, younger than the grace
	Findings    int64 `json:"findings"`
}

// Audit compares rows with what is on disk and on S3, both ways. It changes nothing. Bytes
// that no row names count only once they are older than grace: since they were discarded,
// where that is known, else since they were written.
func Audit(
	ctx context.Context, uses Uses, files ListedFiles, bucket ListedBucket, grace time.Duration, found func(Finding),
) (Audited, error) {
	if err := reachable(ctx, files, bucket); err != nil {
		return Audited{}, err
	}
	a := &auditor{uses: uses, files: files, bucket: bucket, grace: grace, found: found, keys: newPathSet(), paths: newPathSet()}
	every := func(l track.Lease) bool { a.expect(l); return true }
	if err := each(ctx, uses.Stored(ctx), every, a.row); err != nil {
		return a.result, err
	}
	var err error
	if a.odd, err = files.OddPaths(uses.LeftPaths(ctx, grace)); err != nil {
		return a.result, err
	}
	for file, err := range files.List(ctx, "") {
		if errors.Is(err, fs.ErrPermission) { // as of the lost+found of a disk
			a.result.Findings++
			found(Finding{Kind: LocalUnreadable, Path: file.Key, Detail: err.Error()})
			continue
		}
		if err != nil {
			return a.result, err
		}
		a.result.Files++
		if !a.paths.has(file.Key) {
			if err := a.unknown(ctx, track.Local, file); err != nil {
				return a.result, err
			}
		}
	}
	for _, prefix := range []string{track.MigratedPrefix, track.UploadsPrefix} {
		for object, err := range bucket.List(ctx, prefix) {
			if err != nil {
				return a.result, err
			}
			a.result.Objects++
			if !a.keys.has(object.Key) {
				if err := a.unknown(ctx, track.S3, object); err != nil {
					return a.result, err
				}
			}
		}
	}
	return a.result, nil
}

type auditor struct {
	uses        Uses
	files       ListedFiles
	bucket      ListedBucket
	grace       time.Duration
	found       func(Finding)
	keys, paths pathSet             // that rows name
	odd         map[string][]string // that rows named

	mu     sync.Mutex
	result Audited
}

// expect takes down the bytes that a row names, and those that it keeps beside them: the
// local copy of a track on S3.
func (a *auditor) expect(l track.Lease) {
	if l.Key != "" {
		a.keys.add(l.Key)
	}
	if l.FilePath != "" && !l.Purged {
		if plain, err := a.files.PlainPaths(l.FilePath); err == nil {
			a.paths.add(plain[0])
		}
	}
}

// row looks whether the bytes of a row are there.
func (a *auditor) row(ctx context.Context, l track.Lease) error {
	missing, err := a.bytesMissing(ctx, l)
	if err != nil {
		return err
	}
	if missing != nil {
		if names, err := a.uses.Names(ctx, l); err != nil {
			return err
		} else if !names {
			missing = nil
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result.Rows++
	if missing != nil {
		a.result.Findings++
		a.found(finding(RowWithoutBytes, l, missing.Error()))
	}
	return nil
}

func (a *auditor) bytesMissing(ctx context.Context, l track.Lease) (missing, err error) {
	if l.Key != "" {
		_, err := a.bucket.Head(ctx, l.Key, l.VersionID)
		if errors.Is(err, track.ErrNotFound) {
			return err, nil
		}
		return nil, err
	}
	file, err := a.files.OpenFile(l.FilePath)
	if errors.Is(err, track.ErrUnavailable) {
		return nil, err
	}
	if err != nil {
		return err, nil
	}
	defer file.Close()
	return nil, nil
}

// unknown looks at bytes that no row named when the rows were read.
func (a *auditor) unknown(ctx context.Context, backend string, o track.Object) error {
	names := []string{o.Key}
	if backend == track.Local {
		if plain, err := a.files.PlainPaths(o.Key); err == nil {
			names = append(plain, a.odd[plain[0]]...)
		}
	}
	use, err := a.uses.UseOf(ctx, backend, names...)
	if err != nil {
		return err
	}
	if use.Named || use.Pending || use.Leased {
		return nil
	}
	since, what := o.ModTime, "written"
	if !use.Since.IsZero() {
		since, what = use.Since, use.Reason
	}
	age := time.Since(since)
	a.mu.Lock()
	defer a.mu.Unlock()
	if age < a.grace {
		a.result.WithinGrace++
		return nil
	}
	a.result.Findings++
	f := Finding{TrackID: use.TrackID, Detail: fmt.Sprintf("%d bytes, %s %s ago", o.Size, what, age.Round(time.Second))}
	if f.Kind, f.StorageKey = ObjectWithoutRow, o.Key; backend == track.Local {
		f.Kind, f.StorageKey, f.Path = FileWithoutRow, "", o.Key
	}
	a.found(f)
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
