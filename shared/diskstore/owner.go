package diskstore

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"syscall"
)

// What is made here is for the platform, whoever runs trackstore: it is readable, and
// writable, to whom the folder is that it goes into. Root also hands it to that folder's
// owner. A umask has no say.

// makeFolder makes a folder, and those above it that are not there, each like the one above.
func makeFolder(root *os.Root, dir string) error {
	info, err := root.Stat(dir)
	if err == nil && info.IsDir() || !errors.Is(err, fs.ErrNotExist) {
		return err // what is there and is no folder fails whoever opens something in it
	}
	parent := path.Dir(dir)
	if err := makeFolder(root, parent); err != nil {
		return err
	}
	if err := root.Mkdir(dir, 0o700); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil // somebody else did, this moment
		}
		return err
	}
	d, err := root.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	above, err := root.Stat(parent)
	if err != nil {
		return err
	}
	return resemble(d, above, above.Mode().Perm()|above.Mode()&fs.ModeSetgid)
}

// moveIn makes a file as accessible as the folder that it goes into, which is made where it
// is not there.
func moveIn(root *os.Root, f *os.File, dir string) error {
	if err := makeFolder(root, dir); err != nil {
		return err
	}
	folder, err := root.Stat(dir)
	if err != nil {
		return err
	}
	return resemble(f, folder, folder.Mode().Perm()&^0o111)
}

// resemble gives f a mode and, as root, the owner of another. File systems that keep no
// owners or modes, and NFS servers that trust no root, refuse; that is no error.
func resemble(f *os.File, like fs.FileInfo, mode fs.FileMode) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	mode |= 0o600
	if os.Geteuid() == 0 {
		uid, gid := owner(like)
		if u, g := owner(info); u != uid || g != gid {
			if err := f.Chown(uid, gid); err != nil && !isUnsupported(err) {
				return err
			}
		}
	}
	if info.Mode()&(fs.ModePerm|fs.ModeSetgid) == mode {
		return nil
	}
	if err := f.Chmod(mode); err != nil && !isUnsupported(err) {
		return err
	}
	return nil
}

func owner(info fs.FileInfo) (uid, gid int) {
	st := info.Sys().(*syscall.Stat_t)
	return int(st.Uid), int(st.Gid)
}

// isUnsupported reports whether err is what file systems answer to what they do not have.
func isUnsupported(err error) bool {
	for _, errno := range []syscall.Errno{syscall.EPERM, syscall.ENOTSUP, syscall.EOPNOTSUPP, syscall.ENOSYS, syscall.EINVAL} {
		if errors.Is(err, errno) {
			return true
		}
	}
	return false
}
