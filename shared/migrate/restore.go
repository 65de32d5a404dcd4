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

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Disk is the disk, as far as files are read and made. CreateFile makes a whole file under
// a new name, synced with its folders, or none (R1); what is there already is track.ErrExists.
type Disk interface {
	Files
	// PlainPaths returns the plain paths of the file that a path leads to, with no link in them:
	// the one relative to the root, and the absolute one.
	PlainPaths(filePath string) ([]string, error)
	CreateFile(filePath string, fill func(*os.File) error) error
}

// Restore moves tracks from S3 to disk.
type Restore struct {
	Disk      Disk
	Bucket    Bucket
	Bandwidth int64 // bytes a second; 0: no limit

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

// Reachable asks for an object that is nowhere, and for the root folder.
func (r *Restore) Reachable(ctx context.Context) error {
	return reachable(ctx, r.Disk, r.Bucket)
}

// Move puts the bytes of one track on disk, where they are not there still. Nothing on S3
// is touched. A crash anywhere in it leaves the row as it was, and at most a file that no
// row names yet: the next attempt finds it, compares it and uses it.
func (r *Restore) Move(ctx context.Context, lease track.Lease) (track.Outcome, error) {
	if outcome, ok := r.keep(ctx, lease); ok {
		return outcome, nil
	}
	object, err := r.Bucket.Head(ctx, lease.Key, lease.VersionID)
	if errors.Is(err, track.ErrNotFound) {
		return failure(lease, track.Missing, err), nil
	}
	if err != nil {
		return track.Outcome{}, err
	}
	object.VersionID = lease.VersionID
	want, err := r.expected(ctx, lease, object)
	if errors.Is(err, track.ErrMismatch) {
		return failure(lease, track.Mismatch, err), nil
	}
	if err != nil {
		return track.Outcome{}, err
	}
	outcome := track.Outcome{
		Lease: lease, State: track.Migrated, NewPath: restoredPath(lease), NewSize: object.Size, NewChecksum: track.HexSum(want),
	}
	err = r.Disk.CreateFile(outcome.NewPath, func(f *os.File) error { return r.fetch(ctx, f, object, want) })
	if errors.Is(err, track.ErrExists) {
		size, sum, err := r.readFile(ctx, outcome.NewPath)
		if err == nil && (size != object.Size || sum != want) {
			err = fmt.Errorf("%w: the file %q has %d bytes with CRC64NVME %s, the object %d with %s", track.ErrMismatch,
				outcome.NewPath, size, track.HexSum(sum), object.Size, outcome.NewChecksum)
		}
		if track.IsRetryable(err) {
			return track.Outcome{}, err
		}
		if err != nil {
			return failure(lease, track.Mismatch, err), nil
		}
	} else if err != nil {
		return track.Outcome{}, err
	}
	return outcome, nil
}

// keep uses the local copy that the migration left, if it still is what was recorded (R6:
// and not marked for removal, which the flip looks at once more). Its path has to be a plain
// one: another row may name the file by another path, and who purges that row's copy must
// find this one.
func (r *Restore) keep(ctx context.Context, lease track.Lease) (track.Outcome, bool) {
	if lease.Purged || lease.FilePath == "" || lease.Checksum == "" {
		return track.Outcome{}, false
	}
	plain, err := r.Disk.PlainPaths(lease.FilePath)
	if err != nil || !slices.Contains(plain, lease.FilePath) {
		return track.Outcome{}, false
	}
	size, sum, err := r.readFile(ctx, lease.FilePath)
	if err != nil || size != lease.Size || track.HexSum(sum) != lease.Checksum {
		return track.Outcome{}, false
	}
	return track.Outcome{
		Lease: lease, State: track.Migrated, NewPath: lease.FilePath, Aliases: plain, NewSize: size, NewChecksum: lease.Checksum,
	}, true
}

// expected returns the checksum that the object's bytes must have.
func (r *Restore) expected(ctx context.Context, lease track.Lease, object track.Object) (uint64, error) {
	sum, err := objectSum(ctx, r.Bucket, object)
	if err == nil && lease.Checksum != "" && (track.HexSum(sum) != lease.Checksum || object.Size != lease.Size) {
		err = fmt.Errorf("%w: object %q has %d bytes with CRC64NVME %s, recorded are %d with %s", track.ErrMismatch,
			object.Key, object.Size, track.HexSum(sum), lease.Size, lease.Checksum)
	}
	return sum, err
}

// fetch writes an object into f and checks what went through it.
func (r *Restore) fetch(ctx context.Context, f *os.File, object track.Object, want uint64) error {
	body, err := r.Bucket.Open(ctx, object.Key, object.VersionID, 0, -1)
	if err != nil {
		return err
	}
	defer body.Close()
	hash := crc64nvme.New()
	n, err := io.Copy(io.MultiWriter(f, hash), r.bandwidth.reader(ctx, body))
	if err != nil {
		return err
	}
	if n != object.Size || hash.Sum64() != want {
		return fmt.Errorf("%w: %q came as %d bytes with CRC64NVME %s, not as %d with %s", track.ErrUnavailable,
			object.Key, n, track.HexSum(hash.Sum64()), object.Size, track.HexSum(want))
	}
	return nil
}

// readFile reads a file for its checksum. A file that changes meanwhile is an error.
func (r *Restore) readFile(ctx context.Context, filePath string) (size int64, sum uint64, err error) {
	return readFile(ctx, r.Disk, r.buffers, filePath)
}

// restoredPath is where a rollback puts a file. R4: a path is for one file, once. A track
// that was restored, migrated again and purged gets another path the next time, because
// whoever purges may still be about to unlink the first.
func restoredPath(lease track.Lease) string {
	filePath := track.RestoredPath(lease.TrackID, lease.FileVersion, lease.Key)
	if path.Dir(path.Clean(lease.FilePath)) != path.Dir(filePath) {
		return filePath
	}
	ext := path.Ext(filePath)
	return strings.TrimSuffix(filePath, ext) + "-" + track.NewID().String() + ext
}
