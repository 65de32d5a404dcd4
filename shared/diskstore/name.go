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

// lockFile is held by whoever names a file where names cannot be given exclusively otherwise.
const lockFile = workDir + "/lock"

// giveName gives a temporary file a name, which must be new (fs.ErrExist); of several at once,
// one succeeds. A link does that, unlike a renaming. exFAT, CIFS and others have no links:
// there it is a renaming that replaces nothing, or else one under a lock.
func giveName(root *os.Root, temp, name string) error {
	err := root.Link(temp, name)
	if errors.Is(err, fs.ErrExist) && isEmpty(root, name) && !hasLinks(root, temp) {
		return renameLocked(root, temp, name) // it may be what a crash there left
	}
	if !isUnsupported(err) {
		return err
	}
	if err = renameExclusively(root, temp, name); !isUnsupported(err) {
		return err
	}
	if err = renameLocked(root, temp, name); isUnsupported(err) {
		return fmt.Errorf("%w: its file system has neither links, nor exclusive renaming, nor locks: %w", track.ErrPlace, err)
	}
	return err
}

func isEmpty(root *os.Root, name string) bool {
	info, err := root.Lstat(name)
	return err == nil && info.Mode().IsRegular() && info.Size() == 0
}

// hasLinks tries it.
func hasLinks(root *os.Root, temp string) bool {
	if err := root.Link(temp, temp+".link"); err != nil {
		return false
	}
	_ = root.Remove(temp + ".link") // if not, cleanTemp does
	return true
}

// renameExclusively renames a file, unless the name is taken.
func renameExclusively(root *os.Root, temp, name string) error {
	from, err := root.Open(path.Dir(temp))
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := root.Open(path.Dir(name))
	if err != nil {
		return err
	}
	defer to.Close()
	if err := renameNoReplace(int(from.Fd()), path.Base(temp), int(to.Fd()), path.Base(name)); err != nil {
		return &os.LinkError{Op: "rename", Old: temp, New: name, Err: err}
	}
	return nil
}

// renameLocked takes the name with an empty file, which no other program can have taken
// meanwhile, and renames over that. All of trackstore hold one lock for it, also on other
// machines where the file system tells them; it ends with its process. A crash in between
// leaves the empty file: nothing that is stored is empty, so who finds one, and holds the
// lock, takes it over.
func renameLocked(root *os.Root, temp, name string) error {
	lock, err := root.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := moveIn(root, lock, "."); err != nil {
		return err
	}
	if err := flock(lock); err != nil {
		return err
	}
	taken, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		if !isEmpty(root, name) {
			return err
		}
	} else if err != nil {
		return err
	} else if err := taken.Close(); err != nil {
		return err
	}
	return root.Rename(temp, name)
}

// flock waits for the lock.
func flock(f *os.File) error {
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX)
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOLCK):
			return &fs.PathError{Op: "lock", Path: lockFile, Err: unix.ENOTSUP}
		case err != nil:
			return &fs.PathError{Op: "lock", Path: lockFile, Err: err}
		default:
			return nil
		}
	}
}
