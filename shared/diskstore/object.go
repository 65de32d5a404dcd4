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
// checks them against spec.Digest (else track.ErrMismatch). The content type goes by the key's
// extension.
func (s *Store) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	key, size := spec.Key, spec.Digest.Size
	rel, err := keyPath(key)
	if err != nil {
		return track.Object{}, err
	}
	declared := track.NewCRC64NVME(spec.Digest.CRC64NVME)
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
func (s *Store) Delete(ctx context.Context, key string) error {
	return s.Remove(ctx, key, func(context.Context) error { return nil })
}

// Remove is Delete for a file that somebody may have come to need: mayGo is asked right before,
// and where it returns an error, the file stays and the error is returned.
func (s *Store) Remove(ctx context.Context, key string, mayGo func(context.Context) error) error {
	if err := mayGo(ctx); err != nil {
		return err
	}
	if err := s.RemoveFile(key); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// Versions yields nothing: the disk keeps none.
func (s *Store) Versions(context.Context, string, string) iter.Seq2[track.Object, error] {
	return func(func(track.Object, error) bool) {}
}

// RemoveVersion removes nothing: the disk keeps no versions.
func (s *Store) RemoveVersion(context.Context, string, string) error { return nil }

// List yields all regular files whose paths begin with prefix, in no order, without
// checksums; not links, nor what is in the making. A folder that cannot be read is yielded,
// by its path, with the error, and the others follow.
func (s *Store) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	return func(yield func(track.Object, error) bool) {
		root, err := s.openRoot()
		if err != nil {
			yield(track.Object{}, failure("list", prefix, err))
			return
		}
		defer root.Close()
		walk(ctx, root, path.Dir(prefix+"x"), func(o track.Object, err error) bool {
			if err == nil && !strings.HasPrefix(o.Key, prefix) {
				return true
			}
			return yield(o, failure("list", o.Key, err))
		})
	}
}

// walk calls visit for each regular file under dir, and with the error for what cannot be
// read, until it returns false. What vanishes on the way is passed over.
func walk(ctx context.Context, root *os.Root, dir string, visit func(track.Object, error) bool) (more bool) {
	d, err := root.Open(dir)
	if errors.Is(err, os.ErrNotExist) {
		return true
	}
	if err != nil {
		return visit(track.Object{Key: dir}, err)
	}
	defer d.Close()
	for {
		// In pieces: a folder may hold millions of files.
		names, err := d.Readdirnames(1024)
		if errors.Is(err, io.EOF) {
			return true
		}
		if err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			return visit(track.Object{Key: dir}, err)
		}
		for _, name := range names {
			if !visitEntry(ctx, root, path.Join(dir, name), visit) {
				return false
			}
		}
	}
}

func visitEntry(ctx context.Context, root *os.Root, name string, visit func(track.Object, error) bool) (more bool) {
	info, err := root.Lstat(name)
	switch {
	case errors.Is(err, os.ErrNotExist), err == nil && name == workDir:
		return true
	case err != nil:
		return visit(track.Object{Key: name}, err)
	case info.IsDir():
		return walk(ctx, root, name, visit)
	case info.Mode().IsRegular():
		return visit(describe(name, info), nil)
	}
	return true
}
