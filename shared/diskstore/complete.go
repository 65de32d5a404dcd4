package diskstore

import (
	"cmp"
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

// CompleteMultipart makes a file of the parts, which must be in the order of their numbers
// and, the last apart, have track.MinPartSize. Where size is not 0, they must add up to it.
// track.ErrExists and track.ErrNotFound may both follow a completion that was carried out,
// though its answer was lost: Head tells.
func (s *Store) CompleteMultipart(ctx context.Context, key, multipartID string, size int64, parts []track.Part) error {
	got, err := s.completeMultipart(key, multipartID, size, parts)
	if err != nil {
		return failure("complete the multipart upload of", key, err)
	}
	s.announce(ctx, "CompleteMultipartUpload", key, got)
	return nil
}

func (s *Store) completeMultipart(key, id string, size int64, list []track.Part) (got received, err error) {
	root, err := s.openRootToWrite()
	if err != nil {
		return got, err
	}
	defer root.Close()
	dir, err := uploadDir(root, key, id)
	if err != nil {
		return got, err
	}
	stored, err := listParts(root, dir)
	if err != nil {
		return got, err
	}
	parts, err := choose(stored, list, size)
	if err != nil {
		return got, err
	}
	err = s.create(key, func(f *os.File) error {
		got, err = join(root, dir, parts, f)
		return err
	})
	if err != nil {
		return got, err
	}
	// The file is there, whatever becomes of the parts. A crash before they are gone leaves an
	// upload whose key is taken: completing it again fails with ErrExists, and the sweep aborts it.
	if err := s.abort(root, id); err != nil {
		s.cfg.Logger.Warn("the parts of a completed upload remain on disk", "key", key, "multipart_id", id, "err", err)
	}
	return got, nil
}

// choose picks the parts of a list, and checks the list as S3 does.
func choose(stored []part, list []track.Part, size int64) ([]part, error) {
	invalid := func(format string, args ...any) ([]part, error) {
		return nil, fmt.Errorf("%w: %s", track.ErrInvalidParts, fmt.Sprintf(format, args...))
	}
	if len(list) == 0 {
		return invalid("it is empty")
	}
	var chosen []part
	var sum int64
	for i, p := range list {
		if i > 0 && p.Number <= list[i-1].Number {
			return invalid("part %d comes after part %d", p.Number, list[i-1].Number)
		}
		at, found := slices.BinarySearchFunc(stored, p.Number, func(s part, number int32) int { return cmp.Compare(s.Number, number) })
		if !found || stored[at].ETag != strings.Trim(p.ETag, `"`) {
			return invalid("there is no part %d with the ETag %q", p.Number, p.ETag)
		}
		if i < len(list)-1 && stored[at].Size < track.MinPartSize {
			return invalid("part %d has %d bytes, less than %d", p.Number, stored[at].Size, track.MinPartSize)
		}
		sum += stored[at].Size
		chosen = append(chosen, stored[at])
	}
	if size > 0 && sum != size {
		return invalid("the parts have %d bytes together, not %d", sum, size)
	}
	return chosen, nil
}

// join writes the parts one after another. Where the file system can, the kernel copies
// them, or shares their blocks.
func join(root *os.Root, dir string, parts []part, dst *os.File) (got received, err error) {
	etags := crc64nvme.New()
	for _, p := range parts {
		src, err := root.Open(path.Join(dir, p.name))
		if errors.Is(err, os.ErrNotExist) {
			if _, err := root.Lstat(dir); err != nil {
				return got, err // the upload itself is gone
			}
			return got, fmt.Errorf("%w: part %d was sent again meanwhile", track.ErrInvalidParts, p.Number)
		}
		if err != nil {
			return got, err
		}
		n, err := io.Copy(dst, src)
		if err := errors.Join(err, src.Close()); err != nil {
			return got, err
		}
		if n != p.Size {
			return got, fmt.Errorf("part %d has %d bytes, not %d as listed", p.Number, n, p.Size)
		}
		got.size += n
		_, _ = io.WriteString(etags, p.ETag)
	}
	got.etag = fmt.Sprintf("%016x-%d", etags.Sum64(), len(parts)) // in S3's manner
	return got, nil
}
