package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"sync"

	"trackstore/shared/track"
)

// Finding is something that is not as it should be.
type Finding struct {
	Kind       string   `json:"kind"`
	TrackID    track.ID `json:"track_id"`
	Path       string   `json:"path"`
	StorageKey string   `json:"storage_key"`
	Detail     string   `json:"detail"`
}

// The kinds of findings.
const (
	ObjectMissing    = "object_missing"
	ObjectUnreadable = "object_unreadable" // S3 has it and does not give it: it is in an archive, say
	ObjectDiffers    = "object_differs"    // from what was recorded at the flip
	LocalDiffers     = "local_differs"
	LocalUnreadable  = "local_unreadable"
	LocalShared      = "local_shared" // another track names the file, and is local, or was within the grace
	FileWithoutRow   = "file_without_row"
	ObjectWithoutRow = "object_without_row"
	RowWithoutBytes  = "row_without_bytes"
	NotCurrent       = "not_current"      // readers of the key alone get another version than the row pins, or none
	UnpinnedVersion  = "unpinned_version" // of an object, and no row pins it: it is beside the one that a row does pin
)

// Records is what was recorded of tracks on S3. Each call may be repeated, also after
// track.ErrUnavailable.
type Records interface {
	// Recorded yields the tracks on S3 with greater ids than after that are not deleted, in the order of their
	// ids, with what is recorded of their objects. It ends after an error.
	Recorded(ctx context.Context, after track.ID) iter.Seq2[track.Copies, error]
	// Record keeps the digest of an object that has none recorded, while its track's row names it
	// and nobody moves the track; else it does nothing. Whether a local copy was purged is
	// not known then, so it counts as purged.
	Record(ctx context.Context, c track.Copies, digest track.Digest) error
	// Names reports whether the track's row is still as c says.
	Names(ctx context.Context, c track.Copies) (bool, error)
}

// Verification is what Verify did.
type Verification struct {
	Checked  int64 `json:"checked"` // tracks
	Bytes    int64 `json:"bytes"`   // read, on S3 and on disk
	Recorded int64 `json:"recorded"`
	Findings int64 `json:"findings"`
	// After is where a verification goes on that ended early: all tracks up to this one are checked.
	After track.ID `json:"after,omitzero"`
}

// ReadBucket is S3, as far as a verification needs it.
type ReadBucket interface {
	Bucket
	// Read describes the current version of an object as Head does, and reads it. None is track.ErrNotFound.
	Read(ctx context.Context, key string) (track.Object, io.ReadCloser, error)
}

// Verifier is what a verification works with. Found is called one finding at a time.
type Verifier struct {
	Records Records
	Files   Files
	Bucket  ReadBucket
	Found   func(Finding)
	Reached func(after track.ID) // tells how far it came; nil: nobody asks

	Elsewhere track.Elsewhere[Bucket]
}

// Verify reads the objects of tracks on S3, and their local copies while these are there,
// and compares both with what was recorded at the flip; sample is the share of the tracks,
// over 0 and up to 1, chosen at random: at least one track, where there is any. A track of which nothing is recorded gets a record.
// It begins behind an id: the nil UUID for all, or where an earlier one that ended came to.
func (v Verifier) Verify(ctx context.Context, sample float64, after track.ID) (Verification, error) {
	if err := prove(ctx, v.Files, v.Bucket); err != nil {
		return Verification{}, err
	}
	run := &verification{Verifier: v, buffers: newBuffers()}
	seen, chosen := 0, 0
	var one track.Copies // any of those seen, as likely as each other
	floor := newFloor(after, v.Reached)
	err := each(ctx, floor.watch(v.Records.Recorded(ctx, after)), func(c track.Copies) bool {
		if seen++; rand.IntN(seen) == 0 {
			one = c
		}
		if rand.Float64() >= sample {
			floor.done(c.TrackID)
			return false
		}
		chosen++
		return true
	}, func(ctx context.Context, c track.Copies) error {
		err := run.verify(ctx, c)
		if err == nil {
			floor.done(c.TrackID)
		}
		return err
	})
	if err == nil && seen > 0 && chosen == 0 {
		err = patiently(ctx, firstBackoff, func() error { return run.verify(ctx, one) })
	}
	if err != nil {
		run.result.After = floor.reached()
	}
	return run.result, err
}

// verification is a Verify under way.
type verification struct {
	Verifier
	buffers *buffers

	mu     sync.Mutex
	result Verification
}

// verify may be called again after an error that track.IsRetryable.
func (v *verification) verify(ctx context.Context, c track.Copies) error {
	compared, err := v.compare(ctx, c)
	if err != nil {
		return err
	}
	if len(compared.findings) > 0 {
		// The row may have been replaced, deleted or rolled back while its bytes were read.
		if names, err := v.Records.Names(ctx, c); err != nil {
			return err
		} else if !names {
			compared.findings = nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.result.Checked++
	v.result.Bytes += compared.read
	v.result.Findings += int64(len(compared.findings))
	if compared.recorded {
		v.result.Recorded++
	}
	for _, f := range compared.findings {
		v.Found(f)
	}
	return nil
}

// comparison is what verifying one track showed.
type comparison struct {
	findings []Finding
	read     int64 // bytes
	recorded bool  // a digest was recorded
}

func (v *verification) compare(ctx context.Context, c track.Copies) (comparison, error) {
	object, found, notCurrent, err := v.read(ctx, c.Object)
	if err != nil {
		findings, err := notRead(ctx, v.Files, v.Bucket, c, err)
		return comparison{findings: findings}, err
	}
	result, recorded := comparison{read: found.Size}, c.Object.Digest
	if notCurrent != "" {
		result.findings = append(result.findings, finding(NotCurrent, c, notCurrent))
	}
	if told, ok := toldDigest(object); ok && told != found {
		result.findings = append(result.findings, finding(ObjectDiffers, c, fmt.Sprintf("its bytes have CRC64NVME %s, S3 says %s", found.Hex(), told.Hex())))
	} else if recorded == nil {
		if err := v.Records.Record(ctx, c, found); err != nil {
			return comparison{}, err
		}
		result.recorded, recorded = true, &found
	} else if found != *recorded {
		result.findings = append(result.findings, finding(ObjectDiffers, c, c.Object.Differs(found)))
	}
	if c.FilePath == "" || c.Purged {
		return result, nil
	}
	local, err := readFile(ctx, v.Files, v.buffers, c.FilePath)
	switch {
	case errors.Is(err, track.ErrNotFound):
		return result, nil
	case saysNothing(err) || ctx.Err() != nil:
		return comparison{}, err
	case err != nil:
		result.findings = append(result.findings, finding(LocalUnreadable, c, err.Error()))
	case recorded != nil && local != *recorded:
		result.findings = append(result.findings, finding(LocalDiffers, c, fmt.Sprintf("%s, recorded are %s", local, recorded)))
	}
	result.read += local.Size
	return result, nil
}

// read reads the object that a row names. As a rule that is the key's current version, and one request is enough; of
// any other answer it asks what headPinned does.
func (v *verification) read(ctx context.Context, o *track.StoredObject) (object track.Object, found track.Digest, notCurrent string, err error) {
	if track.LiesIn(v.Bucket, o.Bucket) {
		object, body, err := v.Bucket.Read(ctx, o.Key)
		if err == nil && (o.VersionID == "" || object.VersionID == o.VersionID) {
			found, err = digestOf(body, object)
			return object, found, "", err
		}
		if err == nil {
			body.Close()
		}
	}
	p, notCurrent, err := headPinned(ctx, Bucket(v.Bucket), v.Elsewhere, o)
	if err == nil {
		found, err = readDigest(ctx, p.bucket, p.Object)
	}
	return p.Object, found, notCurrent, err
}

// notRead is what is found of an object whose reading ended with err. Where S3 gives no
// object at all, that says nothing of this one.
func notRead(ctx context.Context, files Files, bucket Bucket, c track.Copies, err error) ([]Finding, error) {
	if saysNothing(err) || ctx.Err() != nil {
		return nil, err
	}
	if down := prove(ctx, files, bucket); down != nil {
		return nil, down
	}
	if errors.Is(err, track.ErrNotFound) {
		return []Finding{finding(ObjectMissing, c, err.Error())}, nil
	}
	return []Finding{finding(ObjectUnreadable, c, err.Error())}, nil
}

func finding(kind string, c track.Copies, detail string) Finding {
	return Finding{Kind: kind, TrackID: c.TrackID, Path: c.FilePath, StorageKey: c.Key(), Detail: detail}
}
