package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"trackstore/shared/track"
)

// Files is the disk, as far as it is read.
type Files interface {
	// OpenFile opens what a row's file_path names. Its errors are track.ErrNotFound,
	// ErrOutsideRoot, ErrNotRegular, ErrUnavailable (there is no root), and those of reading.
	OpenFile(filePath string) (track.File, error)
}

// Bucket is S3, as far as objects are created and read. Create is conditional: a key is
// written once (R1), and what is there already is track.ErrExists.
type Bucket interface {
	Create(ctx context.Context, key, contentType string, sum uint64, body io.ReaderAt, size int64) (track.Object, error)
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

// LargeBucket takes large objects in parts.
type LargeBucket interface {
	CreateLarge(ctx context.Context, key, contentType string) (multipartID string, err error)
	PutPart(ctx context.Context, key, multipartID string, number int32, sum uint64, body io.ReadSeeker, size int64) (track.Part, error)
	CompleteLarge(ctx context.Context, key, multipartID string, size int64, sum uint64, parts []track.Part) (track.Object, error)
	AbortMultipart(ctx context.Context, key, multipartID string) error
}

// Sniffer recognises an audio format by a file's bytes; it reads a few of them.
type Sniffer func(file io.ReaderAt) (format track.Format, ok bool, err error)

// largestPut is the size up to which a file is read once, into memory, and sent in one
// PUT; above it, in parts of that size, bytes.
const largestPut = 16 << 20

// Upload moves tracks from disk to S3.
type Upload struct {
	Files     Files
	Bucket    Bucket
	Large     LargeBucket
	Sniff     Sniffer
	Bandwidth int64 // bytes a second; 0: no limit

	buffers   *buffers
	bandwidth *bandwidth
}

// NewUpload returns the mover to S3.
func NewUpload(u Upload) *Upload {
	u.buffers, u.bandwidth = newBuffers(), newBandwidth(u.Bandwidth)
	return &u
}

// Direction returns track.ToS3.
func (u *Upload) Direction() track.Direction { return track.ToS3 }

// Reachable asks for an object that is nowhere, and for the root folder.
func (u *Upload) Reachable(ctx context.Context) error {
	return reachable(ctx, u.Files, u.Bucket)
}

// reachable reads, and not only asks for a description: the answer to that has no body to
// tell a bucket that is not there from an object that is not.
func reachable(ctx context.Context, files Files, bucket Bucket) error {
	body, err := bucket.Open(ctx, track.MigratedPrefix, "", 0, -1)
	if err == nil {
		err = body.Close()
	}
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return fmt.Errorf("S3 does not answer as it should: %w", err)
	}
	if _, err = files.OpenFile("."); errors.Is(err, track.ErrUnavailable) {
		return fmt.Errorf("the root of the files on disk: %w", err)
	}
	return nil
}

// errChanged tells that a file was edited or replaced while it was read.
var errChanged = errors.New("the file was changed while it was read")

var errEmpty = errors.New("the file has no bytes")

// maxReads of a file that is being edited.
const maxReads = 3

// Move copies the file of one track. A crash anywhere in it leaves the row as it was, and
// at most an object, or a multipart upload, that no row names yet.
func (u *Upload) Move(ctx context.Context, lease track.Lease) (track.Outcome, error) {
	for read := 1; ; read++ {
		outcome, err := u.move(ctx, lease)
		if !errors.Is(err, errChanged) {
			return outcome, err
		}
		if read == maxReads {
			return failure(lease, track.Changed, err), nil
		}
		if err := pause(ctx, time.Duration(read)*100*time.Millisecond); err != nil {
			return track.Outcome{}, err
		}
	}
}

func (u *Upload) move(ctx context.Context, lease track.Lease) (track.Outcome, error) {
	file, err := u.Files.OpenFile(lease.FilePath)
	if err != nil {
		return cannotOpen(lease, err)
	}
	defer file.Close()
	src := source{File: file, files: u.Files, path: lease.FilePath}
	if src.before, err = file.Identity(); err != nil {
		return failure(lease, track.Unreadable, err), nil
	}
	switch size := src.before.Size; {
	case size == 0:
		return failure(lease, track.Empty, errEmpty), nil
	case size <= largestPut:
		return u.moveSmall(ctx, lease, src)
	default:
		return u.moveLarge(ctx, lease, src)
	}
}

// moveSmall sends what was read once. S3 checks it against the checksum of that reading.
func (u *Upload) moveSmall(ctx context.Context, lease track.Lease, src source) (track.Outcome, error) {
	buf, err := u.buffers.get(ctx, src.before.Size)
	if err != nil {
		return track.Outcome{}, err
	}
	defer buf.put()
	sum, err := buf.fill(src, 0, 0)
	if err = src.check(err); err != nil {
		return cannotRead(lease, err)
	}
	outcome, err := u.outcome(lease, src.before.Size, sum, buf)
	if err != nil {
		return cannotRead(lease, err)
	}
	_, err = u.Bucket.Create(ctx, outcome.NewKey, outcome.ContentType, sum, u.bandwidth.readerAt(ctx, buf), buf.size)
	return u.verified(ctx, outcome, sum, err)
}

// outcome describes the object that a file becomes.
func (u *Upload) outcome(lease track.Lease, size int64, sum uint64, file io.ReaderAt) (track.Outcome, error) {
	format, ok, err := u.Sniff(file)
	if !ok {
		format, _ = track.FormatOfName(lease.FilePath)
	}
	return track.Outcome{
		Lease: lease, State: track.Migrated, NewSize: size, NewChecksum: track.HexSum(sum),
		NewKey: track.MigratedKey(lease.TrackID, lease.FileVersion, sum, lease.FilePath),
		Format: format, ContentType: format.ContentType(),
	}, err
}

// verified asks S3 for what it has after a write that ended with err. A key that exists
// was written by an earlier attempt, whose worker died before the flip: it is compared and
// never overwritten.
func (u *Upload) verified(ctx context.Context, outcome track.Outcome, sum uint64, err error) (track.Outcome, error) {
	if err != nil && !errors.Is(err, track.ErrExists) {
		return outcome, err
	}
	object, err := u.Bucket.Head(ctx, outcome.NewKey, "")
	if errors.Is(err, track.ErrNotFound) {
		return outcome, fmt.Errorf("%w: gone right after it was written: %w", track.ErrUnavailable, err)
	}
	if err != nil {
		return outcome, err
	}
	found, err := objectSum(ctx, u.Bucket, object)
	if err != nil {
		return outcome, err
	}
	if object.Size != outcome.NewSize || found != sum {
		return failure(outcome.Lease, track.Mismatch, fmt.Errorf("object %q has %d bytes with CRC64NVME %s, the file %d with %s",
			object.Key, object.Size, track.HexSum(found), outcome.NewSize, outcome.NewChecksum)), nil
	}
	outcome.NewVersion = object.VersionID
	return outcome, nil
}

func cannotOpen(lease track.Lease, err error) (track.Outcome, error) {
	switch {
	case errors.Is(err, track.ErrUnavailable):
		return track.Outcome{}, err
	case errors.Is(err, track.ErrNotFound):
		return failure(lease, track.Missing, err), nil
	case errors.Is(err, track.ErrOutsideRoot):
		return failure(lease, track.OutsideRoot, err), nil
	}
	return failure(lease, track.Unreadable, err), nil
}

func cannotRead(lease track.Lease, err error) (track.Outcome, error) {
	if errors.Is(err, errChanged) {
		return track.Outcome{}, err
	}
	return failure(lease, track.Unreadable, err), nil
}
