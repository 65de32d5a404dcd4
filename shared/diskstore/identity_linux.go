package diskstore

import (
	"os"
	"syscall"

	"trackstore/shared/track"
)

func identity(info os.FileInfo) track.FileIdentity {
	st := info.Sys().(*syscall.Stat_t)
	return track.FileIdentity{Device: st.Dev, Inode: st.Ino, Size: st.Size, ModTime: st.Mtim.Nano(), ChangeTime: st.Ctim.Nano()}
}
