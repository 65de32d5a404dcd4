package diskstore

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"time"

	"trackstore/shared/track"
)

const tempDir = workDir + "/tmp"

// CreateFile makes a new file: fill writes it, in any order, under a temporary name; then
// it is synced, and gets its name, which must be new (track.ErrExists). After an error, of
// fill's too, there is no such file.
func (s *Store) CreateFile(filePath string, fill func(*os.File) error) error {
	rel, err := keyPath(filePath)
	if err == nil {
		err = s.create(rel, fill)
	}
	return failure("create", filePath, err)
}

func (s *Store) create(rel string, fill func(*os.File) error) error {
	root, err := s.openRootToWrite()
	if err != nil {
		return err
	}
	defer root.Close()
	s.cleanTemp(root)

	f, temp, err := createTemp(root)
	if err != nil {
		return err
	}
	// A crash leaves the temporary file, until cleanTemp finds it old enough. Once it has
	// got its name this takes away the other one only.
	defer func() { _ = root.Remove(temp) }()
	defer f.Close()
	if err := fill(f); err != nil {
		return err
	}
	if err := moveIn(root, f, path.Dir(rel)); err != nil {
		return err
	}
	// The bytes are on disk before any name stands for them.
	if err := f.Sync(); err != nil {
		return err
	}
	return publish(root, temp, rel)
}

// publish gives a synced file its name, in a folder that is there. A crash right after it
// leaves the whole file there, or nothing, and nobody was told yet. A name that is taken is
// made as safe as a new one before that is said: whoever took it may have been killed before
// it was.
func publish(root *os.Root, temp, rel string) error {
	named := giveName(root, temp, rel)
	if named != nil && !errors.Is(named, fs.ErrExist) {
		return named
	}
	// Up to the root, for whoever made these folders may not have got as far as this.
	for dir := path.Dir(rel); ; dir = path.Dir(dir) {
		if err := syncDir(root, dir); err != nil {
			return err
		}
		if dir == "." {
			return named
		}
	}
}

// createTemp makes a file that nobody else knows.
func createTemp(root *os.Root) (f *os.File, name string, err error) {
	name = tempName()
	if f, err = createNew(root, name); errors.Is(err, fs.ErrNotExist) {
		if err = makeFolder(root, tempDir); err == nil {
			f, err = createNew(root, name)
		}
	}
	return f, name, err
}

// createNew makes a file, with the mode and the owner of the root folder.
func createNew(root *os.Root, name string) (*os.File, error) {
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	if err := moveIn(root, f, "."); err != nil {
		f.Close()
		_ = root.Remove(name)
		return nil, err
	}
	return f, nil
}

func tempName() string { return tempDir + "/" + track.NewID().String() }

// cleanTemp removes, once an hour, what crashes left: whatever nobody has written to for a day.
func (s *Store) cleanTemp(root *os.Root) {
	const interval, age = time.Hour, 24 * time.Hour
	now := time.Now()
	last := s.cleanedAt.Load()
	if now.Sub(time.Unix(last, 0)) < interval || !s.cleanedAt.CompareAndSwap(last, now.Unix()) {
		return
	}
	dir, err := root.Open(tempDir)
	if err != nil {
		return // nothing was ever written
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	for _, name := range names {
		name = path.Join(tempDir, name)
		if info, e := root.Lstat(name); e == nil && now.Sub(info.ModTime()) > age {
			err = errors.Join(err, root.RemoveAll(name))
		}
	}
	if err != nil {
		s.cfg.Logger.Warn("old temporary files remain on disk", "folder", tempDir, "err", err)
	}
}

func syncDir(root *os.Root, dir string) error {
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
