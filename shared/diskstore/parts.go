package diskstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"trackstore/shared/track"
)

// part is the file of one part. Its name holds all that is known of it, so that a part that
// is there is whole.
type part struct {
	track.Part
	name string
}

func partName(number int32, etag string) string {
	return fmt.Sprintf("%05d.%016x.%s", number, time.Now().UnixNano(), etag)
}

// putPart writes one part. One that is sent again takes the place of the earlier one.
func (s *Store) putPart(p track.PartSpec, body io.Reader) (etag string, err error) {
	root, err := s.openRootToWrite()
	if err != nil {
		return "", err
	}
	defer root.Close()
	dir, err := uploadDir(root, p.Key, p.MultipartID)
	if err != nil {
		return "", err
	}
	f, temp, err := createTemp(root)
	if err != nil {
		return "", err
	}
	defer func() { _ = root.Remove(temp) }()
	defer f.Close()
	got, err := receive(f, body, p.Size, p.Size, p.Checksum)
	if err != nil {
		return "", err
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	// From here on the part counts. If the upload was aborted meanwhile, there is no folder.
	name := partName(p.Number, got.etag)
	if err := root.Rename(temp, path.Join(dir, name)); err != nil {
		return "", err
	}
	if err := syncDir(root, dir); err != nil {
		return "", err
	}
	return got.etag, dropOlder(root, dir, p.Number, name)
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
// the greatest.
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
	// Completed or aborted meanwhile: what was seen may not be all.
	if _, err := root.Lstat(dir); err != nil {
		return nil, err
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
