package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"trackstore/shared/track"
)

// Uses says what bytes are for, as far as the database knows. It changes nothing, and each
// call may be repeated. What it yields ends after an error.
type Uses interface {
	// Stored yields every track that names bytes and is not deleted. Of those on S3, FilePath is the
	// local copy; of local ones there is no Object.
	Stored(ctx context.Context) iter.Seq2[track.Copies, error]
	// Named returns those of the keys (backend s3), or of the paths (local), that a track names now which is not
	// deleted.
	Named(ctx context.Context, backend string, names []string) (map[string]bool, error)
	// UseOf tells what an object (backend s3), or a file by any of its paths (local), is for now.
	UseOf(ctx context.Context, backend string, names ...string) (track.Use, error)
	// Names reports whether a track's row is still as c says.
	Names(ctx context.Context, c track.Copies) (bool, error)
	// PinnedVersions returns the versions of an object that rows pin, the empty string among them
	// where one names it without a version, or has pinned it for less than grace. None: no row names it.
	PinnedVersions(ctx context.Context, key string, grace time.Duration) ([]string, error)
	// LeftPaths yields the paths of files that tracks gave up within grace: of deleted ones, and
	// those that are discarded.
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
	// Versions yields every version of the keys below a prefix, by key, from the one after "after"
	// on; nothing, where the bucket keeps none.
	Versions(ctx context.Context, prefix, after string) iter.Seq2[track.Object, error]
}

// ListedFiles is the disk, as far as an audit needs it.
type ListedFiles interface {
	LocalFiles
	// OddPaths returns those of the paths that are not plain, by the plain relative one.
	OddPaths(filePaths iter.Seq2[string, error]) (map[string][]string, error)
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

// Auditor is what an audit works with. Found is called one finding at a time.
type Auditor struct {
	Uses   Uses
	Files  ListedFiles
	Bucket ListedBucket
	Found  func(Finding)

	Elsewhere track.Elsewhere[Bucket]
}

// Audit compares rows with what is on disk and on S3, both ways. It changes nothing. Bytes
// that no row names count only once they are older than grace: since they were discarded,
// where that is known, else since they were written.
func (p Auditor) Audit(ctx context.Context, grace time.Duration) (Audited, error) {
	if err := prove(ctx, p.Files, p.Bucket); err != nil {
		return Audited{}, err
	}
	a := &audit{Auditor: p, grace: grace, detours: track.NewHashSet[string]()}
	every := func(c track.Copies) bool { a.expect(c); return true }
	if err := each(ctx, p.Uses.Stored(ctx), every, a.row); err != nil {
		return a.result, err
	}
	var err error
	if a.odd, err = p.Files.OddPaths(p.Uses.LeftPaths(ctx, grace)); err != nil {
		return a.result, err
	}
	if err := a.listed(ctx, track.Local, p.Files.List(ctx, ""), &a.result.Files); err != nil {
		return a.result, err
	}
	for _, prefix := range []string{track.MigratedPrefix, track.UploadsPrefix} {
		if err := a.versions(ctx, prefix); err != nil {
			return a.result, err
		}
		if err := a.listed(ctx, track.S3, p.Bucket.List(ctx, prefix), &a.result.Objects); err != nil {
			return a.result, err
		}
	}
	return a.result, nil
}

// audit is an Audit under way.
type audit struct {
	Auditor
	grace   time.Duration
	detours track.HashSet[string] // files that rows name by paths that are not plain, by the plain relative one
	odd     map[string][]string   // that rows named

	mu     sync.Mutex
	result Audited
}

// expect takes down the file that a row names by a path that is not plain: all others are asked for when they are
// listed, so that memory does not grow with the number of tracks.
func (a *audit) expect(c track.Copies) {
	if c.FilePath != "" && !c.Purged {
		if plain, err := a.Files.PlainPaths(c.FilePath); err == nil && !slices.Contains(plain, c.FilePath) {
			a.detours.Add(plain[0])
		}
	}
}

// row looks whether the bytes of a row are there.
func (a *audit) row(ctx context.Context, c track.Copies) error {
	found, err := a.lookAt(ctx, c)
	if err != nil {
		return err
	}
	if found != nil {
		if err := prove(ctx, a.Files, a.Bucket); err != nil {
			return err
		}
		if names, err := a.Uses.Names(ctx, c); err != nil {
			return err
		} else if !names {
			found = nil
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.result.Rows++
	if found != nil {
		a.result.Findings++
		a.Found(*found)
	}
	return nil
}

// lookAt returns what is wrong with the bytes of a row, nil for nothing.
func (a *audit) lookAt(ctx context.Context, c track.Copies) (*Finding, error) {
	var kind, detail string
	if c.Object != nil {
		_, notCurrent, err := headPinned[Bucket](ctx, a.Bucket, a.Elsewhere, c.Object)
		switch {
		case errors.Is(err, track.ErrNotFound):
			kind, detail = RowWithoutBytes, err.Error()
		case err != nil && !saysNothing(err) && !track.LiesIn(a.Bucket, c.Object.Bucket):
			kind, detail = ObjectUnreadable, err.Error() // of the bucket of earlier, and no reason to end here
		case err != nil:
			return nil, err
		case notCurrent != "":
			kind, detail = NotCurrent, notCurrent
		default:
			return nil, nil
		}
	} else {
		file, err := a.Files.OpenFile(c.FilePath)
		if err == nil {
			file.Close()
			return nil, nil
		}
		if saysNothing(err) {
			return nil, err
		}
		kind, detail = RowWithoutBytes, err.Error()
	}
	f := finding(kind, c, detail)
	return &f, nil
}

// versions looks for those below prefix that no row pins, beside one that a row does.
func (a *audit) versions(ctx context.Context, prefix string) error {
	var versions []track.Object // of one key
	see := func() error {
		if len(versions) < 2 {
			return nil
		}
		pinned, err := a.Uses.PinnedVersions(ctx, versions[0].Key, a.grace)
		if err != nil {
			return err
		}
		for _, v := range track.Unpinned(versions, pinned) {
			age := time.Since(v.ModTime)
			if age < a.grace {
				a.result.WithinGrace++
				continue
			}
			use, err := a.Uses.UseOf(ctx, track.S3, v.Key)
			if err != nil {
				return err
			}
			a.result.Findings++
			a.Found(Finding{
				Kind: UnpinnedVersion, TrackID: use.TrackID, StorageKey: v.Key,
				Detail: fmt.Sprintf("version %s, %d bytes, written %s ago, is pinned by no row; the sweep removes it", v.VersionID, v.Size, age.Round(time.Second)),
			})
		}
		return nil
	}
	for v, err := range a.Bucket.Versions(ctx, prefix, "") {
		if err != nil {
			return err
		}
		if len(versions) > 0 && versions[0].Key != v.Key {
			if err := see(); err != nil {
				return err
			}
			versions = nil
		}
		versions = append(versions, v)
	}
	return see()
}
