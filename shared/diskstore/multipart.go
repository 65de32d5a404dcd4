package diskstore

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/shared/track"
)

// An upload in parts is a folder under multipartDir, named by its id, with a manifest and
// a file for each part. It appears and vanishes as a whole, by being renamed.
const (
	multipartDir = workDir + "/multipart"
	manifestName = "manifest.json"
)

type manifest struct {
	Key     string    `json:"key"`
	Started time.Time `json:"started"`
}

// part is the file of one part. Its name holds all that is known of it, so that a part that
// is there is whole.
type part struct {
	track.Part
	name string
}

func partName(number int32, etag string) string {
	return fmt.Sprintf("%05d.%s.%s", number, track.NewID(), etag)
}

// CreateMultipart begins an upload in parts.
func (s *Store) CreateMultipart(_ context.Context, key, _ string) (string, error) {
	if _, err := keyPath(key); err != nil {
		return "", err
	}
	id := track.NewID().String()
	if err := s.createMultipart(id, manifest{key, time.Now().UTC()}); err != nil {
		return "", failure("create a multipart upload of", key, err)
	}
	return id, nil
}

func (s *Store) createMultipart(id string, m manifest) error {
	content, err := json.Marshal(m)
	if err != nil {
		return err
	}
	root, err := s.openRoot()
	if err != nil {
		return err
	}
	defer root.Close()
	// A crash before the renaming leaves a temporary folder, which cleanTemp removes.
	temp := tempName()
	if err := errors.Join(root.MkdirAll(temp, 0o755), root.MkdirAll(multipartDir, 0o755)); err != nil {
		return err
	}
	if err := writeSynced(root, path.Join(temp, manifestName), content); err != nil {
		return err
	}
	if err := root.Rename(temp, path.Join(multipartDir, id)); err != nil {
		return err
	}
	return syncDir(root, multipartDir)
}

func writeSynced(root *os.Root, name string, content []byte) error {
	f, err := root.Create(name)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// uploadDir returns the folder of an upload in parts, which must be one of this key.
func uploadDir(root *os.Root, key, id string) (string, error) {
	m, err := readManifest(root, id)
	if err != nil {
		return "", err
	}
	if m.Key != key {
		return "", fmt.Errorf("%w: multipart upload %s is one of another key", track.ErrNotFound, id)
	}
	return path.Join(multipartDir, id), nil
}

func readManifest(root *os.Root, id string) (m manifest, err error) {
	if _, err := track.ParseID(id); err != nil {
		return m, fmt.Errorf("%w: no multipart upload has the id %q", track.ErrNotFound, id)
	}
	content, err := root.ReadFile(path.Join(multipartDir, id, manifestName))
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(content, &m)
}

// putPart writes one part. One that is sent again takes the place of the earlier one.
func (s *Store) putPart(key, id string, number int32, body io.Reader, size int64) (etag string, err error) {
	root, err := s.openRoot()
	if err != nil {
		return "", err
	}
	defer root.Close()
	dir, err := uploadDir(root, key, id)
	if err != nil {
		return "", err
	}
	f, temp, err := createTemp(root)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Remove(temp) }()
	defer f.Close()
	got, err := receive(f, body, size, size, nil)
	if err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	// From here on the part counts. If the upload was aborted meanwhile, there is no folder.
	name := partName(number, got.etag)
	if err := root.Rename(temp, path.Join(dir, name)); err != nil {
		return "", err
	}
	if err := syncDir(root, dir); err != nil {
		return "", err
	}
	return got.etag, dropOlder(root, dir, number, name)
}

// dropOlder removes what was sent for a part before. A crash before it leaves files that
// listParts passes over.
func dropOlder(root *os.Root, dir string, number int32, newest string) error {
	names, err := readNames(root, dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		if strings.HasPrefix(name, fmt.Sprintf("%05d.", number)) && name < newest {
			if err := root.Remove(path.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

func readNames(root *os.Root, dir string) ([]string, error) {
	d, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.Readdirnames(-1)
	slices.Sort(names)
	return names, err
}

// listParts returns the parts by number; of each only what was sent last, whose name is
// the greatest, for ids grow with time.
func listParts(root *os.Root, dir string) ([]part, error) {
	names, err := readNames(root, dir)
	if err != nil {
		return nil, err
	}
	var parts []part
	for _, name := range names {
		fields := strings.Split(name, ".")
		if len(fields) != 3 {
			continue // the manifest
		}
		number, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil {
			return nil, err
		}
		info, err := root.Lstat(path.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue // sent again this moment
		}
		if err != nil {
			return nil, err
		}
		p := part{track.Part{Number: int32(number), ETag: fields[2], Size: info.Size()}, name}
		if last := len(parts) - 1; last >= 0 && parts[last].Number == p.Number {
			parts[last] = p
		} else {
			parts = append(parts, p)
		}
	}
	return parts, nil
}

// ListParts returns the parts that are there in full, by number.
func (s *Store) ListParts(_ context.Context, key, multipartID string) ([]track.Part, error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, failure("list the parts of", key, err)
	}
	defer root.Close()
	dir, err := uploadDir(root, key, multipartID)
	if err != nil {
		return nil, failure("list the parts of", key, err)
	}
	parts, err := listParts(root, dir)
	if err != nil {
		return nil, failure("list the parts of", key, err)
	}
	all := make([]track.Part, len(parts))
	for i, p := range parts {
		all[i] = p.Part
	}
	return all, nil
}

// CompleteMultipart makes a file of the parts, which must be in the order of their numbers
// and, the last apart, have track.MinPartSize. Where size is not 0, they must add up to it.
// track.ErrExists and track.ErrNotFound may both follow a completion that was carried out,
// though its answer was lost: Head tells.
func (s *Store) CompleteMultipart(ctx context.Context, key, multipartID string, size int64, parts []track.Part) error {
	got, err := s.completeMultipart(key, multipartID, size, parts)
	if err != nil {
		return failure("complete the multipart upload of", key, err)
	}
	s.announce(ctx, "ObjectCreated:CompleteMultipartUpload", key, got)
	return nil
}

func (s *Store) completeMultipart(key, id string, size int64, list []track.Part) (got received, err error) {
	root, err := s.openRoot()
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
	// A crash before this leaves an upload whose key is taken: completing it again fails with
	// ErrExists, and the sweep aborts it.
	return got, s.abort(root, id)
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

// AbortMultipart gives up an upload and its parts. One that is not there is no error.
func (s *Store) AbortMultipart(_ context.Context, key, multipartID string) error {
	root, err := s.openRoot()
	if err != nil {
		return failure("abort the multipart upload of", key, err)
	}
	defer root.Close()
	_, err = uploadDir(root, key, multipartID)
	if err == nil {
		err = s.abort(root, multipartID)
	}
	if err := failure("abort the multipart upload of", key, err); !errors.Is(err, track.ErrNotFound) {
		return err
	}
	return nil
}

// abort takes the upload out of sight at once, then removes it; a crash in between leaves
// a temporary folder, which cleanTemp removes.
func (s *Store) abort(root *os.Root, id string) error {
	temp := tempName()
	if err := root.MkdirAll(tempDir, 0o755); err != nil {
		return err
	}
	err := root.Rename(path.Join(multipartDir, id), temp)
	if errors.Is(err, os.ErrNotExist) {
		return nil // somebody else did
	}
	if err != nil {
		return err
	}
	return errors.Join(syncDir(root, multipartDir), root.RemoveAll(temp))
}

// ListMultiparts yields the uploads in parts that are neither completed nor aborted, of all
// keys that begin with prefix. It ends after an error.
func (s *Store) ListMultiparts(_ context.Context, prefix string) iter.Seq2[track.Multipart, error] {
	return func(yield func(track.Multipart, error) bool) {
		root, err := s.openRoot()
		if err != nil {
			yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
			return
		}
		defer root.Close()
		ids, err := readNames(root, multipartDir)
		if errors.Is(err, os.ErrNotExist) {
			return // there never was one
		}
		for _, id := range ids {
			m, err := readManifest(root, id)
			if errors.Is(classify(err), track.ErrNotFound) {
				continue // gone this moment
			}
			if err != nil {
				yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
				return
			}
			if strings.HasPrefix(m.Key, prefix) && !yield(track.Multipart{Key: m.Key, ID: id, Started: m.Started}, nil) {
				return
			}
		}
		if err != nil {
			yield(track.Multipart{}, failure("list the multipart uploads of", prefix, err))
		}
	}
}
