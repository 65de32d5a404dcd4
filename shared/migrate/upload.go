package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"trackstore/shared/track"
)

// Files is the disk, as far as it is read.
type Files interface {
	// Prove asks anew whether the root folder is there, and is the one that is meant (R7).
	Prove(ctx context.Context) error
	// OpenFile opens what a row's file_path names. Its errors are track.ErrNotFound,
	// ErrOutsideRoot, ErrNotRegular, ErrUnavailable (there is no root), ErrPlace (it is not the
	// one that is meant), and those of reading.
	OpenFile(filePath string) (track.File, error)
}

// Bucket is S3, as far as objects are created and read. After track.ErrUnavailable or
// ErrThrottled each call may be repeated; track.ErrForbidden is of credentials or a policy, and
// track.ErrPlace of the bucket: another key would fare no better.
type Bucket interface {
	// Prove asks anew whether the bucket is there, and is the one that is meant (R7).
	Prove(ctx context.Context) error
	// Bucket returns the bucket's name.
	Bucket() string
	// Create makes an object of the first spec.Digest.Size bytes of body, whole or not at all. A key is
	// written once (R1): what is there already is track.ErrExists, be it by an earlier attempt
	// of this very call, and after ErrUnavailable the object may be there; Head tells by what bytes.
	// Bytes that are not of spec.Digest are track.ErrMismatch.
	Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error)
	// Head describes an object: the version, or the current one where versionID is empty. None is
	// track.ErrNotFound.
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	// Open reads length bytes of an object from offset on; a negative length is all that follow.
	// None is track.ErrNotFound. Reading what it returns fails with the same errors as the call.
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

// LargeBucket takes large objects in parts. Its errors are those of Bucket.
type LargeBucket interface {
	// CreateLarge begins a multipart upload. After ErrUnavailable there may be one that nobody
	// knows of: the sweep aborts it when it is old.
	CreateLarge(ctx context.Context, key, contentType string) (multipartID string, err error)
	// PutPart sends a part. Sent again, it replaces what the first attempt left of it.
	PutPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (track.Part, error)
	// CompleteLarge makes the object of its parts, as Create does: after ErrUnavailable, and where it is
	// repeated, Head tells whether it is there.
	CompleteLarge(ctx context.Context, spec track.ObjectSpec, multipartID string, parts []track.Part) (track.Object, error)
	// AbortMultipart gives an upload up; one that is gone is no error. A part that was on its way
	// may come in after it, hence it may be repeated.
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
	Elsewhere track.Elsewhere[Bucket]
	Sniff     Sniffer
	Bandwidth int64         // bytes a second; 0: no limit
	Rest      time.Duration // how long a file is left alone after its last change; 0: ten seconds

	buffers   *buffers
	bandwidth *bandwidth
	hedges    *hedges
	ahead     *sync.Map // of files changed in the future: track to identity, when it was first seen
}

// NewUpload returns the mover to S3.
func NewUpload(u Upload) *Upload {
	if u.Rest == 0 {
		u.Rest = restTime
	}
	u.buffers, u.bandwidth, u.hedges, u.ahead = newBuffers(), newBandwidth(u.Bandwidth), newHedges(), &sync.Map{}
	return &u
}

// Direction returns track.ToS3.
func (u *Upload) Direction() track.Direction { return track.ToS3 }

// Prove asks disk and S3.
func (u *Upload) Prove(ctx context.Context) error { return prove(ctx, u.Files, u.Bucket) }

// Room is for all there is: S3 has it.
func (u *Upload) Room(int64, int64) error { return nil }

// errChanged tells that a file was edited or replaced while it was read.
var errChanged = errors.New("the file was changed while it was read")

// restTime is an Upload's Rest where nothing else is asked for.
const restTime = 10 * time.Second

// restsError tells that a file may still be being written, and is to be left alone for a while.
type restsError struct {
	left    time.Duration
	changed error // it was changed while it was read; nil: it was not read
}

func (e *restsError) Error() string {
	if e.changed != nil {
		return e.changed.Error()
	}
	return "the file is still being written: it was changed a moment ago, again and again"
}

var errEmpty = errors.New("the file has no bytes")

// Move copies the file of one track. A crash anywhere in it leaves the row as it was, and
// at most an object, or a multipart upload, that no row names yet.
func (u *Upload) Move(ctx context.Context, lease track.Lease) (track.Result, error) {
	var result track.Result
	err := rereading(ctx, func() (err error) {
		result, err = u.move(ctx, lease)
		return err
	})
	if errors.Is(err, errChanged) {
		return nil, &restsError{left: u.Rest, changed: err}
	}
	return lasting(result, err)
}

func (u *Upload) move(ctx context.Context, lease track.Lease) (track.Result, error) {
	file, err := u.Files.OpenFile(lease.FilePath)
	if errors.Is(err, track.ErrNotFound) && lease.Object != nil {
		return u.findAgain(ctx, *lease.Object, err)
	}
	if err != nil {
		return cannotOpen(err)
	}
	defer file.Close()
	src := source{File: file, files: u.Files, path: lease.FilePath}
	if src.before, err = file.Identity(); err != nil {
		return cannotRead(err)
	}
	if left := u.hasToRest(lease.TrackID, src.before); left > 0 {
		return nil, &restsError{left: left}
	}
	switch size := src.before.Size; {
	case size == 0:
		return track.Failure{Kind: track.Empty, Err: errEmpty}, nil
	case size <= largestPut:
		return u.moveSmall(ctx, lease, src)
	default:
		return u.moveLarge(ctx, lease, src)
	}
}

// hasToRest returns how long a file is still to be left alone: it may be being written. Where its
// time of change lies ahead, by another machine's clock, it is that it stays the same which tells.
func (u *Upload) hasToRest(id track.ID, file track.FileIdentity) time.Duration {
	left := u.Rest - time.Since(file.Modified())
	if left <= u.Rest {
		return left
	}
	if seen, again := u.ahead.LoadAndDelete(id); again && seen == file {
		return 0
	}
	u.ahead.Store(id, file)
	return u.Rest
}

// findAgain looks, where a file is missing, for the object with the bytes of this file version that
// a move of earlier recorded (R10): the row points at it again if it has the recorded digest.
func (u *Upload) findAgain(ctx context.Context, known track.StoredObject, missing error) (track.Result, error) {
	bucket, err := u.Elsewhere.Find(u.Bucket, known.Bucket)
	if err != nil {
		return nil, err
	}
	object, err := bucket.Head(ctx, known.Key, known.VersionID)
	if errors.Is(err, track.ErrNotFound) && known.VersionID != "" {
		object, err = bucket.Head(ctx, known.Key, "") // a bucket that was copied has other versions
	}
	if errors.Is(err, track.ErrNotFound) {
		return track.Failure{Kind: track.Missing, Err: fmt.Errorf("%w; nor is the object that it was moved to: %w", missing, err)}, nil
	}
	if err != nil {
		return nil, err
	}
	found, err := objectDigest(ctx, bucket, object)
	if err != nil {
		return nil, err
	}
	if known.Digest == nil || found != *known.Digest {
		return track.Failure{Kind: track.Missing, Err: fmt.Errorf("%w; and object %q has %s", missing, known.Key, known.Differs(found))}, nil
	}
	return track.NewObject{Key: known.Key, VersionID: object.VersionID, Bucket: known.Bucket, Digest: found}, nil
}

// moveSmall sends what was read once. S3 checks it against the checksum of that reading.
func (u *Upload) moveSmall(ctx context.Context, lease track.Lease, src source) (track.Result, error) {
	buf, err := u.buffers.get(ctx, src.before.Size)
	if err != nil {
		return nil, err
	}
	defer buf.put()
	sum, err := buf.fill(src, 0, 0)
	if err = src.check(err); err != nil {
		return cannotRead(err)
	}
	object, err := u.newObject(lease, track.Digest{Size: buf.size, CRC64NVME: sum}, buf)
	if err != nil {
		return cannotRead(err)
	}
	created, err := u.create(ctx, specOf(object), u.bandwidth.readerAt(ctx, buf))
	// S3's own answer verifies the PUT: the checksum that it computed over what it received is the file's, and the version
	// says which object that is. A HEAD would ask the same server the same question again. Whatever else came back (an
	// error, a key that exists, an answer without checksum or version, or with others) is looked at.
	if told, ok := toldDigest(created); err == nil && ok && told == object.Digest && created.VersionID != "" {
		object.VersionID = created.VersionID
		return object, nil
	}
	return u.verified(ctx, object, err)
}

// newObject describes the object that a file becomes.
func (u *Upload) newObject(lease track.Lease, digest track.Digest, file io.ReaderAt) (track.NewObject, error) {
	format, ok, err := u.Sniff(file)
	if !ok {
		format, _ = track.FormatOfName(lease.FilePath)
	}
	return track.NewObject{
		Key:    track.MigratedKey(lease.TrackID, lease.FileVersion, digest.CRC64NVME, lease.FilePath),
		Bucket: u.Bucket.Bucket(), Digest: digest, Format: format, ContentType: format.ContentType(),
	}, err
}

func specOf(o track.NewObject) track.ObjectSpec {
	return track.ObjectSpec{Key: o.Key, ContentType: o.ContentType, Digest: o.Digest}
}

// verified asks S3 for what it has after a write that ended with err. A key that exists
// was written by an earlier attempt, whose worker died before the flip: it is compared and
// never overwritten.
func (u *Upload) verified(ctx context.Context, object track.NewObject, err error) (track.Result, error) {
	if err != nil && !errors.Is(err, track.ErrExists) {
		return nil, err
	}
	there, err := u.Bucket.Head(ctx, object.Key, "")
	if errors.Is(err, track.ErrNotFound) {
		return nil, fmt.Errorf("%w: gone right after it was written: %w", track.ErrUnavailable, err)
	}
	if err != nil {
		return nil, err
	}
	found, err := objectDigest(ctx, u.Bucket, there)
	if err != nil {
		return nil, err
	}
	if found != object.Digest {
		return mismatch(fmt.Errorf("object %q has %s, the file %s", there.Key, found, object.Digest)), nil
	}
	object.VersionID = there.VersionID
	return object, nil
}

func mismatch(err error) track.Failure { return track.Failure{Kind: track.Mismatch, Err: err} }
