package diskstore

import (
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"trackstore/shared/track"
)

func identity(info os.FileInfo) track.FileIdentity {
	st := info.Sys().(*syscall.Stat_t)
	return track.FileIdentity{Device: st.Dev, Inode: st.Ino, Size: st.Size, ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano()}
}

// renameNoReplace renames a name of one open folder to a new one of another.
func renameNoReplace(fromDir int, from string, toDir int, to string) error {
	return unix.Renameat2(fromDir, from, toDir, to, unix.RENAME_NOREPLACE)
}
