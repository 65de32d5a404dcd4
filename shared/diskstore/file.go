package diskstore

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"syscall"

	"trackstore/shared/track"
)

// OpenFile opens a regular file by the path that a track's row names, relative to the root
// or absolute. Links are followed as long as they stay inside the root.
//
//   - track.ErrNotFound: there is no file, or a link leads to none
//   - track.ErrOutsideRoot: the path or a link leaves the root
//   - track.ErrNotRegular: a folder, pipe, socket or device
//   - track.ErrUnavailable: the root itself is not there
//   - anything else: the file cannot be read
func (s *Store) OpenFile(filePath string) (track.File, error) {
	f, err := s.open(filePath)
	if err != nil {
		return nil, failure("open", filePath, err)
	}
	return f, nil
}

func (s *Store) open(filePath string) (*file, error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, err
	}
	defer root.Close()
	rel, err := s.locate(filePath)
	if err != nil {
		return nil, err
	}
	f, err := openRegular(root, rel)
	if err == nil || errors.Is(err, track.ErrNotRegular) {
		return f, err
	}
	// An absolute link is one reason of many. Resolving names the true one.
	if rel, err = s.resolve(root, rel); err != nil {
		return nil, err
	}
	return openRegular(root, rel)
}

// openRegular opens without waiting: a pipe has no end until somebody writes to it.
func openRegular(root *os.Root, rel string) (*file, error) {
	f, err := root.OpenFile(rel, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ENXIO) { // a socket, or a device without a driver
		return nil, fmt.Errorf("%w: %w", track.ErrNotRegular, err)
	}
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%w: %s", track.ErrNotRegular, info.Mode())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return &file{f, info}, nil
}

type file struct {
	*os.File
	info os.FileInfo // when it was opened
}

// ReadAt is that of io.ReaderAt.
func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	if err == nil || err == io.EOF { //nolint:errorlint // io.ReaderAt's own word
		return n, err
	}
	return n, classify(err)
}

// Identity asks the system anew.
func (f *file) Identity() (track.FileIdentity, error) {
	info, err := f.Stat()
	if err != nil {
		return track.FileIdentity{}, classify(err)
	}
	return identity(info), nil
}

// PlainPaths returns the two plain ways to write the path of the file that a path leads to,
// with no link and no detour in them: relative to the root, and absolute. Two paths lead to
// one file if these are the same; hard links apart. Its errors are those of OpenFile.
func (s *Store) PlainPaths(filePath string) ([]string, error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, failure("resolve", filePath, err)
	}
	defer root.Close()
	return s.plainPaths(root, filePath)
}

func (s *Store) plainPaths(root *os.Root, filePath string) ([]string, error) {
	rel, err := s.locate(filePath)
	if err == nil {
		rel, err = s.resolve(root, rel)
	}
	if err != nil {
		return nil, failure("resolve", filePath, err)
	}
	return []string{rel, filepath.Join(s.root, rel)}, nil
}

// Identity describes the file that a path leads to, for whoever opens that path without regard to the root: also one outside
// of it. Nothing is opened. Its errors are those of OpenFile.
func (s *Store) Identity(filePath string) (track.FileIdentity, error) {
	if !filepath.IsAbs(filePath) {
		filePath = filepath.Join(s.root, filePath)
	}
	info, err := os.Stat(filePath)
	if err != nil {
		return track.FileIdentity{}, failure("look at", filePath, err)
	}
	return identity(info), nil
}

// OddPaths returns, by the plain relative path of each file, those of the given paths that
// lead to it and are not plain: through links, or by a detour. Paths that lead to no file
// under the root are left out; where that cannot be told, there is an error.
func (s *Store) OddPaths(filePaths iter.Seq2[string, error]) (map[string][]string, error) {
	root, err := s.openRoot()
	if err != nil {
		return nil, failure("resolve", ".", err)
	}
	defer root.Close()
	odd := make(map[string][]string)
	for filePath, err := range filePaths {
		if err != nil {
			return nil, err
		}
		plain, err := s.plainPaths(root, filePath)
		switch {
		case errors.Is(err, track.ErrNotFound), errors.Is(err, track.ErrOutsideRoot), errors.Is(err, syscall.ELOOP):
		case err != nil:
			return nil, err
		case !slices.Contains(plain, filePath):
			odd[plain[0]] = append(odd[plain[0]], filePath)
		}
	}
	return odd, nil
}

// RemoveFile removes the name that a path ends with, durably: the file, or the link, never
// what a link leads to. Its errors are those of OpenFile.
func (s *Store) RemoveFile(filePath string) error {
	return failure("remove", filePath, s.remove(filePath))
}

func (s *Store) remove(filePath string) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return err
	}
	defer root.Close()
	s.cleanTemp(root)
	rel, err := s.locate(filePath)
	if err != nil {
		return err
	}
	dir, err := s.resolve(root, path.Dir(rel))
	if err != nil {
		return err
	}
	rel = path.Join(dir, path.Base(rel))
	info, err := root.Lstat(rel)
	if err != nil {
		return err
	}
	if mode := info.Mode(); !mode.IsRegular() && mode&os.ModeSymlink == 0 {
		return fmt.Errorf("%w: %s", track.ErrNotRegular, mode)
	}
	if err := root.Remove(rel); err != nil {
		return err
	}
	return syncDir(root, dir)
}
