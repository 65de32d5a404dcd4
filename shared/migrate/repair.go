package migrate

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"trackstore/shared/track"
)

// Repairs is where rows are made to name their bytes again.
type Repairs interface {
	Records
	// Repin makes a track's row name this version of its object, in this bucket, while the row is still as c says; a
	// locked row is left. It reports whether it did. It may be repeated.
	Repin(ctx context.Context, c track.Copies, bucket, versionID string) (bool, error)
}

// RepairBucket is S3, as far as a repair needs it.
type RepairBucket interface {
	Bucket
	// Bucket returns the bucket's name.
	Bucket() string
	// RemoveDeleteMarkers takes the delete markers off a key that came after this version, if nothing else did: then the
	// version is the key's current one again. Else it removes nothing, and reports false. With dryRun it only reports.
	// It may be repeated.
	RemoveDeleteMarkers(ctx context.Context, key, versionID string, dryRun bool) (bool, error)
}

// Repaired is what Repair did.
type Repaired struct {
	Checked  int64 `json:"checked"`  // tracks
	Unmarked int64 `json:"unmarked"` // keys whose delete markers were taken off
	Repinned int64 `json:"repinned"` // rows that name another version of the same bytes now
	Findings int64 `json:"findings"` // what is still not as it should be
	DryRun   bool  `json:"dry_run,omitempty"`
}

// Repairer is what a repair works with. Found and Mended are called one at a time.
type Repairer struct {
	Repairs Repairs
	Files   Files
	Bucket  RepairBucket
	Found   func(Finding)                     // what could not be repaired
	Mended  func(c track.Copies, what string) // what was, or in a dry run would be
	DryRun  bool

	Elsewhere track.Elsewhere[RepairBucket]
}

// Repair mends what is provably safe to mend of tracks on S3, and removes no bytes and no later write:
//
//   - the version that a row pins is there, and hidden by delete markers alone: these go;
//   - the version is not there, and the key's current one has the recorded size and checksum, as in a bucket that was
//     copied or restored: the row pins that one. So does a row that names a bucket of earlier, where it is not there any
//     more: that one may be gone.
//
// It may be stopped and repeated: each step leaves a row that names bytes which are there.
func (r Repairer) Repair(ctx context.Context) (Repaired, error) {
	if err := prove(ctx, r.Files, r.Bucket); err != nil {
		return Repaired{}, err
	}
	run := &repair{Repairer: r}
	run.result.DryRun = r.DryRun
	every := func(track.Copies) bool { return true }
	err := each(ctx, r.Repairs.Recorded(ctx, track.ID{}), every, run.repair)
	return run.result, err
}

// repair is a Repair under way.
type repair struct {
	Repairer
	mu     sync.Mutex
	result Repaired
}

func (r *repair) repair(ctx context.Context, c track.Copies) error {
	object, notCurrent, err := headPinned(ctx, r.Bucket, r.Elsewhere, c.Object)
	switch {
	case errors.Is(err, track.ErrNotFound), err != nil && !track.LiesIn(r.Bucket, c.Object.Bucket) && !track.IsRetryable(err):
		return r.repin(ctx, c, err)
	case err != nil:
		return err
	case notCurrent == "":
		return r.done(nil)
	}
	unmarked, err := object.bucket.RemoveDeleteMarkers(ctx, c.Object.Key, object.VersionID, r.DryRun)
	if err != nil {
		return err
	}
	if !unmarked { // a later write is somebody's, and stays
		return r.findUnlessGone(ctx, finding(NotCurrent, c, notCurrent), c)
	}
	return r.done(func() {
		r.result.Unmarked++
		r.Mended(c, "its delete marker is taken off")
	})
}

// repin looks whether the key's current version has the bytes that were recorded. missing is why the pinned one cannot be had.
func (r *repair) repin(ctx context.Context, c track.Copies, missing error) error {
	current, err := r.Bucket.Head(ctx, c.Object.Key, "")
	if errors.Is(err, track.ErrNotFound) {
		return r.findUnlessGone(ctx, finding(ObjectMissing, c, missing.Error()), c)
	}
	if err != nil {
		return err
	}
	found, err := objectDigest(ctx, r.Bucket, current)
	if err != nil {
		return err
	}
	if detail := c.Object.Differs(found); detail != "" {
		return r.findUnlessGone(ctx, finding(ObjectDiffers, c, "the pinned version is not there, and the current one is another: "+detail), c)
	}
	if !r.DryRun {
		// A crash right after it leaves a row that names bytes which were just found.
		if repinned, err := r.Repairs.Repin(ctx, c, r.Bucket.Bucket(), current.VersionID); err != nil {
			return err
		} else if !repinned {
			return r.findUnlessGone(ctx, finding(ObjectMissing, c, "its row is locked, and was left: "+missing.Error()), c)
		}
	}
	return r.done(func() {
		r.result.Repinned++
		r.Mended(c, fmt.Sprintf("its row pins version %s of the same bytes", current.VersionID))
	})
}

// findUnlessGone reports a finding, unless the row has been replaced, deleted or rolled back meanwhile.
func (r *repair) findUnlessGone(ctx context.Context, f Finding, c track.Copies) error {
	names, err := r.Repairs.Names(ctx, c)
	if err != nil || !names {
		return err
	}
	return r.done(func() {
		r.result.Findings++
		r.Found(f)
	})
}

func (r *repair) done(also func()) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.result.Checked++
	if also != nil {
		also()
	}
	return nil
}
