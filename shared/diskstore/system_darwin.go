package diskstore

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"trackstore/shared/track"
)

func identity(info os.FileInfo) track.FileIdentity {
	st := info.Sys().(*syscall.Stat_t)
	return track.FileIdentity{
		Device: uint64(st.Dev), Inode: st.Ino, Size: st.Size, ModTime: st.Mtimespec.Nano(), ChangeTime: st.Ctimespec.Nano(),
	}
}

// renameNoReplace renames a name of one open folder to a new one of another.
func renameNoReplace(fromDir int, from string, toDir int, to string) error {
	return unix.RenameatxNp(fromDir, from, toDir, to, unix.RENAME_EXCL)
}
