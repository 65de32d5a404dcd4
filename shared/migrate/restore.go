package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Disk is the disk, as far as files are read and made.
type Disk interface {
	Files
	// ID returns the id that the root folder bears, or the zero ID where it bears none.
	ID() (track.ID, error)
	// PlainPaths returns the plain paths of the file that a path leads to, with no link in them:
	// the one relative to the root, and the absolute one. Its errors are those of OpenFile.
	PlainPaths(filePath string) ([]string, error)
	// CreateFile makes a whole file under a new name, synced with its folders, or none (R1). What is
	// there already is track.ErrExists; an error of fill comes back as it is. It may be
	// repeated after any error: then the file may be there, whole.
	CreateFile(filePath string, fill func(*os.File) error) error
	// TryWrite tries whether files can be made in a folder, and compares what is to come with what
	// is free: track.ErrPlace says what is in the way.
	TryWrite(dir string, files, bytes int64) error
}

// Prefer says which copy of a track a rollback takes, where the one that the migration left on
// disk was changed since.
type Prefer string

// What may be preferred.
const (
	PreferNone Prefer = ""     // neither: the track is a mismatch
	PreferDisk Prefer = "disk" // what is on disk now
	PreferS3   Prefer = "s3"   // what was moved
)

// Restore moves tracks from S3 to disk.
type Restore struct {
	Disk      Disk
	Bucket    Bucket
	Bandwidth int64  // bytes a second; 0: no limit
	Prefer    Prefer // which copy, where that on disk was changed after the move to S3
	Elsewhere track.Elsewhere[Bucket]

	buffers   *buffers
	bandwidth *bandwidth
}

// NewRestore returns the mover to disk.
func NewRestore(r Restore) *Restore {
	r.buffers, r.bandwidth = newBuffers(), newBandwidth(r.Bandwidth)
	return &r
}

// Direction returns track.ToLocal.
func (r *Restore) Direction() track.Direction { return track.ToLocal }

// Prove asks disk and S3.
func (r *Restore) Prove(ctx context.Context) error { return prove(ctx, r.Disk, r.Bucket) }

// Room tries whether the disk takes so many files of so many bytes together. Later it may be
// full all the same: others write to it, too.
func (r *Restore) Room(files, bytes int64) error {
	return r.Disk.TryWrite(path.Clean(track.RestoredPrefix), files, bytes)
}

// Move puts the bytes of one track on disk, where they are not there still. Nothing on S3
// is touched. A crash anywhere in it leaves the row as it was, and at most a file that no
// row names yet: the next attempt finds it, compares it and uses it.
func (r *Restore) Move(ctx context.Context, lease track.Lease) (track.Result, error) {
	// Before any file is looked at: where another root folder is meant by the time of the flip, that one
	// refuses it (R7).
	root, err := r.Disk.ID()
	if err != nil {
		return nil, err
	}
	result, err := r.move(ctx, lease)
	if file, ok := result.(track.NewFile); ok {
		file.Root = root
		return file, err
	}
	return result, err
}

func (r *Restore) move(ctx context.Context, lease track.Lease) (track.Result, error) {
	if result, err := r.keep(ctx, lease); result != nil || err != nil {
		return result, err
	}
	bucket, err := r.Elsewhere.Find(r.Bucket, lease.Object.Bucket)
	if err != nil {
		return nil, err
	}
	object, err := bucket.Head(ctx, lease.Object.Key, lease.Object.VersionID)
	if errors.Is(err, track.ErrNotFound) {
		return track.Failure{Kind: track.Missing, Err: err}, nil
	}
	if err != nil {
		return nil, err
	}
	object.VersionID = lease.Object.VersionID
	want, err := objectDigest(ctx, bucket, object)
	if err != nil {
		return nil, err
	}
	if lease.Object.Digest != nil && want != *lease.Object.Digest {
		return mismatch(fmt.Errorf("object %q has %s", object.Key, lease.Object.Differs(want))), nil
	}
	file := track.NewFile{Path: restoredPath(lease), Digest: want}
	err = r.Disk.CreateFile(file.Path, func(f *os.File) error { return r.fetch(ctx, f, bucket, object, want) })
	if errors.Is(err, track.ErrExists) {
		return r.compare(ctx, file)
	}
	if err != nil {
		return nil, err
	}
	return file, nil
}

// compare looks at a file that an earlier attempt left.
func (r *Restore) compare(ctx context.Context, file track.NewFile) (track.Result, error) {
	found, err := readFile(ctx, r.Disk, r.buffers, file.Path)
	switch {
	case saysNothing(err), mayPass(err):
		return nil, err
	case err != nil:
		return mismatch(err), nil
	case found != file.Digest:
		return mismatch(fmt.Errorf("%w: the file %q has %s, the object %s", track.ErrMismatch, file.Path, found, file.Digest)), nil
	}
	return file, nil
}

// keep uses the local copy that the migration left, if it still is what was recorded (R6:
// and not marked for removal, which the flip looks at once more). Its path has to be a plain
// one: another row may name the file by another path, and who purges that row's copy must
// find this one. Where it was changed since the flip, it is nobody's but the operator's to say
// which of the two is the track. It returns nothing where the object is to be fetched.
func (r *Restore) keep(ctx context.Context, lease track.Lease) (track.Result, error) {
	object := lease.Object
	if lease.Purged || lease.FilePath == "" || object.Digest == nil {
		return nil, nil
	}
	var plain []string
	var found track.Digest
	var changed time.Time
	err := rereading(ctx, func() (err error) {
		if plain, err = r.Disk.PlainPaths(lease.FilePath); err != nil || !slices.Contains(plain, lease.FilePath) {
			return err
		}
		if found, err = readFile(ctx, r.Disk, r.buffers, lease.FilePath); err == nil && found != *object.Digest {
			changed, err = r.changed(lease.FilePath)
		}
		return err
	})
	if saysNothing(err) {
		return nil, err // it may be the copy: another one beside it would be one too many
	}
	if err != nil || !slices.Contains(plain, lease.FilePath) {
		return nil, nil
	}
	kept := track.NewFile{Path: lease.FilePath, Aliases: plain, Digest: *object.Digest}
	if found == *object.Digest {
		return kept, nil
	}
	if !changed.After(object.RecordedAt) {
		return nil, nil
	}
	switch r.Prefer {
	case PreferDisk:
		return kept, nil
	case PreferS3:
		return nil, nil
	}
	return mismatch(fmt.Errorf("the file %q has %s and was changed at %s, after it was moved; object %q has %s: --prefer disk, or s3, decides",
		lease.FilePath, found, changed.UTC().Format(time.RFC3339), object.Key, object.Digest)), nil
}

// changed returns when a file was changed last.
func (r *Restore) changed(filePath string) (time.Time, error) {
	file, err := r.Disk.OpenFile(filePath)
	if err != nil {
		return time.Time{}, err
	}
	defer file.Close()
	id, err := file.Identity()
	return id.Modified(), err
}

// fetch writes an object into f and checks what went through it.
func (r *Restore) fetch(ctx context.Context, f *os.File, bucket Bucket, object track.Object, want track.Digest) error {
	body, err := bucket.Open(ctx, object.Key, object.VersionID, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	hash := crc64nvme.New()
	n, err := io.Copy(io.MultiWriter(f, hash), r.bandwidth.reader(ctx, body))
	if err != nil {
		return err
	}
	if got := (track.Digest{Size: n, CRC64NVME: hash.Sum64()}); got != want {
		return fmt.Errorf("%w: %q came as %s, not as %s", track.ErrUnavailable, object.Key, got, want)
	}
	return nil
}

// restoredPath is where a rollback puts a file. R4: a path is for one file, once. A track
// that was restored, migrated again and purged gets another path the next time, because
// whoever purges may still be about to unlink the first.
func restoredPath(lease track.Lease) string {
	filePath := track.RestoredPath(lease.TrackID, lease.FileVersion, lease.Object.Key)
	if path.Dir(path.Clean(lease.FilePath)) != path.Dir(filePath) {
		return filePath
	}
	ext := path.Ext(filePath)
	return strings.TrimSuffix(filePath, ext) + "-" + track.NewID().String() + ext
}
