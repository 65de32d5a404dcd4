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
		if saysNothing(openErr) || mayPass(openErr) {
			return openErr // out of files to open, say: nothing is known of the file
		}
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

// readFile reads a file for its digest. A file that changes meanwhile is an error.
func readFile(ctx context.Context, files Files, buffers *buffers, filePath string) (track.Digest, error) {
	file, err := files.OpenFile(filePath)
	if err != nil {
		return track.Digest{}, err
	}
	defer file.Close()
	src := source{File: file, files: files, path: filePath}
	if src.before, err = file.Identity(); err != nil {
		return track.Digest{}, err
	}
	plan, err := readParts(ctx, buffers, src)
	return plan.whole, src.check(err)
}

// objectDigest returns an object's digest: S3's word where it knows it, else by reading.
func objectDigest(ctx context.Context, bucket Bucket, object track.Object) (track.Digest, error) {
	if told, ok := toldDigest(object); ok {
		return told, nil
	}
	return readDigest(ctx, bucket, object)
}

// toldDigest returns what S3 knows of an object, if it knows its CRC64NVME.
func toldDigest(object track.Object) (told track.Digest, ok bool) {
	c, ok := object.Checksum(track.CRC64NVME)
	if !ok {
		return told, false
	}
	sum, ok := c.CRC64NVMESum()
	return track.Digest{Size: object.Size, CRC64NVME: sum}, ok
}

// readDigest computes an object's digest from its bytes.
func readDigest(ctx context.Context, bucket Bucket, object track.Object) (track.Digest, error) {
	body, err := bucket.Open(ctx, object.Key, object.VersionID, 0, -1)
	if err != nil {
		return track.Digest{}, err
	}
	return digestOf(body, object)
}

// digestOf computes the digest of an object that is being read, to its end.
func digestOf(body io.ReadCloser, object track.Object) (track.Digest, error) {
	defer body.Close()
	hash := crc64nvme.New()
	n, err := io.Copy(hash, body)
	if err == nil && n != object.Size {
		err = fmt.Errorf("%w: read %d of %d bytes of %q", track.ErrUnavailable, n, object.Size, object.Key)
	}
	return track.Digest{Size: n, CRC64NVME: hash.Sum64()}, err
}
