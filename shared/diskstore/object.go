package diskstore

import (
	"context"
	"errors"
	"io"
	"iter"
	"os"
	"path"
	"strings"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// Head describes a file, and reads it for its CRC64NVME. Files have no versions: versionID
// is not looked at.
func (s *Store) Head(ctx context.Context, key, _ string) (track.Object, error) {
	f, err := s.open(key)
	if err != nil {
		return track.Object{}, failure("head", key, err)
	}
	defer f.Close()
	sum := crc64nvme.New()
	size, err := io.Copy(sum, &reader{ctx, f})
	if err != nil {
		return track.Object{}, failure("head", key, err)
	}
	object := describe(key, f.info)
	object.Size = size
	object.Checksums = []track.Checksum{track.NewCRC64NVME(sum.Sum64())}
	return object, nil
}

func describe(key string, info os.FileInfo) track.Object {
	format, _ := track.FormatOfName(key)
	return track.Object{Key: key, Size: info.Size(), ContentType: format.ContentType(), ModTime: info.ModTime()}
}

// reader stops reading when its context ends.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r *reader) Read(p []byte) (int, error) {
	if err := context.Cause(r.ctx); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Open reads length bytes of a file from offset, to its end where length is negative or
// reaches beyond. From the end on there is nothing to read.
func (s *Store) Open(ctx context.Context, key, _ string, offset, length int64) (io.ReadCloser, error) {
	f, err := s.open(key)
	if err != nil {
		return nil, failure("open", key, err)
	}
	if length < 0 {
		length = max(f.info.Size()-offset, 0)
	}
	return struct {
		io.Reader
		io.Closer
	}{&reader{ctx, io.NewSectionReader(f, offset, length)}, f}, nil
}

// Create stores size bytes of body under a new key (else track.ErrExists), durably, and
// checks them against sum (else track.ErrMismatch). The content type goes by the key's
// extension.
func (s *Store) Create(
	ctx context.Context, key, _ string, sum uint64, body io.ReaderAt, size int64,
) (track.Object, error) {
	rel, err := keyPath(key)
	if err != nil {
		return track.Object{}, err
	}
	declared := track.NewCRC64NVME(sum)
	var got received
	err = s.create(rel, func(f *os.File) (err error) {
		got, err = receive(f, &reader{ctx, io.NewSectionReader(body, 0, size)}, size, size, &declared)
		return err
	})
	if err != nil {
		return track.Object{}, failure("create", key, err)
	}
	s.announce(ctx, "Put", key, got)
	return s.Head(ctx, key, "")
}

// Delete removes a file. One that is not there is no error.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := s.RemoveFile(key); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// List yields all regular files whose paths begin with prefix, in no order, without
// checksums; not links, nor what is in the making. It ends after an error.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	return func(yield func(track.Object, error) bool) {
		root, err := s.openRoot()
		if err == nil {
			defer root.Close()
			_, err = walk(ctx, root, path.Dir(prefix+"x"), func(o track.Object) bool {
				return !strings.HasPrefix(o.Key, prefix) || yield(o, nil)
			})
		}
		if err != nil {
			yield(track.Object{}, failure("list", prefix, err))
		}
	}
}

// walk calls visit for each regular file under dir, until it returns false. A file that
// vanishes on the way is passed over.
func walk(ctx context.Context, root *os.Root, dir string, visit func(track.Object) bool) (more bool, err error) {
	d, err := root.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	for {
		// In pieces: a folder may hold millions of files.
		names, err := d.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return false, err
		}
		for _, name := range names {
			if more, err := visitEntry(ctx, root, path.Join(dir, name), visit); !more || err != nil {
				return more, err
			}
		}
	}
}

func visitEntry(ctx context.Context, root *os.Root, name string, visit func(track.Object) bool) (more bool, err error) {
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && name == workDir:
		return true, nil
	case err != nil:
		return false, err
	case info.IsDir():
		return walk(ctx, root, name, visit)
	case info.Mode().IsRegular():
		return visit(describe(name, info)), nil
	}
	return true, nil
}
