package migrate

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// source is a file that is being read.
type source struct {
	track.File
	files  Files
	path   string
	before track.FileIdentity
}

// check tells, after a reading that ended with err, whether the file is still the one that
// was opened. It is opened once more, for a network file system may answer for an open file
// from memory, and a program may have put another file in its place, or none.
func (s source) check(err error) error {
	after, idErr := s.Identity()
	if idErr == nil {
		again, openErr := s.files.OpenFile(s.path)
		if openErr != nil {
			return errors.Join(errChanged, openErr)
		}
		defer again.Close()
		if after == s.before {
			after, idErr = again.Identity()
		}
	}
	switch {
	case idErr != nil:
		return idErr
	case after != s.before:
		return fmt.Errorf("%w: it had %d bytes of %s, and has %d of %s", errChanged,
			s.before.Size, s.before.Modified().UTC(), after.Size, after.Modified().UTC())
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.Join(errChanged, err)
	}
	return err
}

// readFile reads a file for its checksum. A file that changes meanwhile is an error.
func readFile(ctx context.Context, files Files, buffers *buffers, filePath string) (size int64, sum uint64, err error) {
	file, err := files.OpenFile(filePath)
	if err != nil {
		return 0, 0, err
	}
	defer file.Close()
	src := source{File: file, files: files, path: filePath}
	if src.before, err = file.Identity(); err != nil {
		return 0, 0, err
	}
	plan, err := readParts(ctx, buffers, src)
	return src.before.Size, plan.sum, src.check(err)
}

// objectSum returns an object's CRC64NVME: S3's word where it knows it, else by reading.
func objectSum(ctx context.Context, bucket Bucket, object track.Object) (uint64, error) {
	if sum, ok := toldSum(object); ok {
		return sum, nil
	}
	return readSum(ctx, bucket, object)
}

// toldSum returns the CRC64NVME that S3 knows of an object.
func toldSum(object track.Object) (sum uint64, ok bool) {
	c, ok := object.Checksum(track.CRC64NVME)
	if !ok {
		return 0, false
	}
	return c.CRC64NVMESum()
}

// readSum computes an object's CRC64NVME from its bytes.
func readSum(ctx context.Context, bucket Bucket, object track.Object) (uint64, error) {
	body, err := bucket.Open(ctx, object.Key, object.VersionID, 0, -1)
	if err != nil {
		return 0, err
	}
	defer body.Close()
	hash := crc64nvme.New()
	n, err := io.Copy(hash, body)
	if err == nil && n != object.Size {
		err = fmt.Errorf("%w: read %d of %d bytes of %q", track.ErrUnavailable, n, object.Size, object.Key)
	}
	return hash.Sum64(), err
}
