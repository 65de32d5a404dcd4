package diskstore

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"trackstore/shared/track"
)

// failure names what failed and, where it is known, which of track's errors it is.
func failure(op, key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %q: %w", op, key, classify(err))
}

// kinds of the system's errors.
var kinds = []struct {
	kind   error
	errnos []syscall.Errno
}{
	// A name that the file system cannot hold is not there either.
	{track.ErrNotFound, []syscall.Errno{syscall.ENOENT, syscall.ENOTDIR, syscall.ENAMETOOLONG}},
	{track.ErrExists, []syscall.Errno{syscall.EEXIST}},
	// Not the file's fault; another time it may go well.
	{track.ErrUnavailable, []syscall.Errno{
		syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.ESTALE, syscall.ETIMEDOUT,
	}},
	// Full, or read-only: no other file fares better.
	{track.ErrPlace, []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS}},
}

func classify(err error) error {
	var errno syscall.Errno
	if errors.Is(err, track.ErrUnavailable) || errors.Is(err, track.ErrPlace) || !errors.As(err, &errno) {
		return err // that the root is not there says nothing of the file
	}
	for _, k := range kinds {
		if slices.Contains(k.errnos, errno) {
			return fmt.Errorf("%w: %w", k.kind, err)
		}
	}
	return err
}
