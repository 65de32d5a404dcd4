package track

import (
	"io"
	"time"
)

// File is a regular file on local disk, open for reading.
type File interface {
	io.ReaderAt
	io.Closer
	// Identity describes the file as it is now.
	Identity() (FileIdentity, error)
}

// FileIdentity tells whether a file was changed or replaced between two looks at it:
// then they differ (==). Only a program that sets the clock back escapes it.
type FileIdentity struct {
	Device, Inode uint64
	Size          int64 // bytes
	ModTime       int64 // nanoseconds since 1970, of the content
	ChangeTime    int64 // nanoseconds since 1970, of content or inode
}

// Modified returns ModTime as a time.
func (id FileIdentity) Modified() time.Time { return time.Unix(0, id.ModTime) }
