package migrate

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"sync"

	"golang.org/x/sync/errgroup"

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
)

// Records is what was recorded of tracks on S3.
type Records interface {
	// Recorded yields all tracks on S3, with what is recorded of their objects.
	Recorded(ctx context.Context) iter.Seq2[track.Lease, error]
	// Record keeps the size and the checksum of an object that has none recorded.
	Record(ctx context.Context, l track.Lease, size int64, checksum string) error
	// Names reports whether the track's row still names the object of l.
	Names(ctx context.Context, l track.Lease) (bool, error)
}

// Verification is what Verify did.
type Verification struct {
	Checked  int64 `json:"checked"` // tracks
	Bytes    int64 `json:"bytes"`   // read, on S3 and on disk
	Recorded int64 `json:"recorded"`
	Findings int64 `json:"findings"`
}

// checksAtOnce is how many tracks are compared at the same time.
const checksAtOnce = 16

// Verify reads the objects of tracks on S3, and their local copies while these are there,
// and compares both with what was recorded at the flip; sample is the share of the tracks,
// from 0 to 1, chosen at random. A track of which nothing is recorded gets a record.
func Verify(
	ctx context.Context, records Records, files Files, bucket Bucket, sample float64, found func(Finding),
) (Verification, error) {
	if err := reachable(ctx, files, bucket); err != nil {
		return Verification{}, err
	}
	v := &verifier{records: records, files: files, bucket: bucket, buffers: newBuffers(), found: found}
	err := each(ctx, records.Recorded(ctx), func(track.Lease) bool { return rand.Float64() < sample }, v.verify)
	return v.result, err
}

// each calls check for those of the tracks that want says, several at once.
func each(
	ctx context.Context, tracks iter.Seq2[track.Lease, error], want func(track.Lease) bool,
	check func(context.Context, track.Lease) error,
) error {
	group, checking := errgroup.WithContext(ctx)
	group.SetLimit(checksAtOnce)
	for l, err := range tracks {
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		if !want(l) {
			continue
		}
		group.Go(func() error {
			return patiently(checking, firstBackoff, func() error { return check(checking, l) })
		})
		if checking.Err() != nil {
			break
		}
	}
	return errors.Join(group.Wait(), ctx.Err())
}

type verifier struct {
	records Records
	files   Files
	bucket  Bucket
	buffers *buffers
	found   func(Finding)

	mu     sync.Mutex
	result Verification
}

// verify may be called again after an error that track.IsRetryable.
func (v *verifier) verify(ctx context.Context, l track.Lease) error {
	findings, read, recorded, err := v.compare(ctx, l)
	if err != nil {
		return err
	}
	if len(findings) > 0 {
		// The row may have been replaced, deleted or rolled back while its bytes were read.
		if names, err := v.records.Names(ctx, l); err != nil {
			return err
		} else if !names {
			findings = nil
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.result.Checked++
	v.result.Bytes += read
	v.result.Findings += int64(len(findings))
	if recorded {
		v.result.Recorded++
	}
	for _, f := range findings {
		v.found(f)
	}
	return nil
}

func (v *verifier) compare(ctx context.Context, l track.Lease) (findings []Finding, read int64, recorded bool, err error) {
	object, err := v.bucket.Head(ctx, l.Key, l.VersionID)
	var sum uint64
	if err == nil {
		object.VersionID = l.VersionID
		sum, err = readSum(ctx, v.bucket, object)
	}
	if err != nil {
		findings, err = v.notRead(ctx, l, err)
		return findings, 0, false, err
	}
	read, checksum := object.Size, track.HexSum(sum)
	if told, ok := toldSum(object); ok && told != sum {
		findings = append(findings, finding(ObjectDiffers, l, fmt.Sprintf("its bytes have CRC64NVME %s, S3 says %s", checksum, track.HexSum(told))))
	} else if l.Checksum == "" {
		if err := v.records.Record(ctx, l, object.Size, checksum); err != nil {
			return nil, 0, false, err
		}
		l.Size, l.Checksum, recorded = object.Size, checksum, true
	} else if detail := differs(l, object.Size, checksum); detail != "" {
		findings = append(findings, finding(ObjectDiffers, l, detail))
	}
	if l.FilePath == "" || l.Purged {
		return findings, read, recorded, nil
	}
	size, local, err := readFile(ctx, v.files, v.buffers, l.FilePath)
	switch detail := differs(l, size, track.HexSum(local)); {
	case errors.Is(err, track.ErrNotFound):
	case errors.Is(err, track.ErrUnavailable) || ctx.Err() != nil:
		return nil, 0, false, err
	case err != nil:
		findings = append(findings, finding(LocalUnreadable, l, err.Error()))
	case detail != "":
		findings = append(findings, finding(LocalDiffers, l, detail))
	}
	return findings, read + size, recorded, nil
}

// notRead is what is found of an object whose reading ended with err. Where S3 gives no
// object at all, that says nothing of this one.
func (v *verifier) notRead(ctx context.Context, l track.Lease, err error) ([]Finding, error) {
	if errors.Is(err, track.ErrNotFound) {
		return []Finding{finding(ObjectMissing, l, err.Error())}, nil
	}
	if track.IsRetryable(err) || ctx.Err() != nil {
		return nil, err
	}
	if down := reachable(ctx, v.files, v.bucket); down != nil {
		return nil, down
	}
	return []Finding{finding(ObjectUnreadable, l, err.Error())}, nil
}

// differs says how bytes differ from what is recorded, or nothing.
func differs(l track.Lease, size int64, checksum string) string {
	if size == l.Size && checksum == l.Checksum {
		return ""
	}
	return fmt.Sprintf("%d bytes with CRC64NVME %s, recorded are %d with %s", size, checksum, l.Size, l.Checksum)
}

func finding(kind string, l track.Lease, detail string) Finding {
	return Finding{Kind: kind, TrackID: l.TrackID, Path: l.FilePath, StorageKey: l.Key, Detail: detail}
}
