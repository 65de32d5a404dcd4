package diskstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"

	"trackstore/shared/track"
)

// TryWrite tries whether files can be made, in dir and in general, and removes them again; and
// whether there is room for so many files of so many bytes together. track.ErrPlace says what
// is in the way.
func (s *Store) TryWrite(dir string, files, bytes int64) error {
	err := s.tryWrite(dir, files, bytes)
	if errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w: run as a user that may write there: %w", track.ErrPlace, err)
	}
	return failure("write below the root folder", s.root, err)
}

func (s *Store) tryWrite(dir string, files, bytes int64) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return err
	}
	defer root.Close()
	if err := hasRoom(root, files, bytes); err != nil {
		return err
	}
	trial := tempName() + ".trial"
	err = s.create(trial, func(f *os.File) error {
		_, err := f.Write(make([]byte, 4096))
		return err
	})
	if err != nil {
		return err
	}
	if err := root.Remove(trial); err != nil {
		return err
	}
	return mayWrite(root, dir)
}

// MayRemove tells beforehand whether RemoveFile could remove a name: track.ErrPlace where the
// whole disk is read-only, fs.ErrPermission where its folder is not for this user.
func (s *Store) MayRemove(filePath string) error {
	return failure("remove", filePath, s.mayRemove(filePath))
}

func (s *Store) mayRemove(filePath string) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return err
	}
	defer root.Close()
	rel, err := s.locate(filePath)
	if err != nil {
		return err
	}
	dir, err := s.resolve(root, path.Dir(rel))
	if err != nil {
		return err
	}
	return mayWrite(root, dir)
}

// hasRoom compares what is to come with what is free, and does not reserve it.
func hasRoom(root *os.Root, files, bytes int64) error {
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	var st unix.Statfs_t
	if err := unix.Fstatfs(int(d.Fd()), &st); err != nil {
		return &fs.PathError{Op: "statfs", Path: ".", Err: err}
	}
	block := int64(st.Bsize) //nolint:unconvert // another type on another system
	free := int64(st.Bavail) //nolint:unconvert // as above
	if os.Geteuid() == 0 {
		free = int64(st.Bfree) //nolint:unconvert // as above
	}
	// Each file takes whole blocks, and a folder of its own.
	if need := bytes/block + 2*files; need > free {
		return fmt.Errorf("%w: %d files of %d bytes together are to be written, and %d bytes are free",
			track.ErrPlace, files, bytes, free*block)
	}
	if inodes := int64(st.Ffree); st.Files > 0 && 2*files > inodes {
		return fmt.Errorf("%w: %d files are to be written, and there is room for %d files and folders", track.ErrPlace, files, inodes)
	}
	return nil
}

// mayWrite asks about a folder, or the one above it that is there.
func mayWrite(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if errors.Is(err, fs.ErrNotExist) && dir != "." {
		return mayWrite(root, path.Dir(dir))
	}
	if err != nil {
		return err
	}
	defer d.Close()
	if err := unix.Faccessat(int(d.Fd()), ".", unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		return &fs.PathError{Op: "write to", Path: dir, Err: err}
	}
	return nil
}
