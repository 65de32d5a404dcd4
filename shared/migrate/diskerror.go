package migrate

import (
	"context"
	"errors"
	"io/fs"
	"syscall"
	"time"

	"trackstore/shared/track"
)

// maxReads of a file that is being edited, or that the disk does not give.
const maxReads = 3

// mayPass reports whether an error of the disk is one that another try may not meet: a moment's trouble of a network file
// system, an owner who changes rights. Of a bad disk, it lasts.
func mayPass(err error) bool { return errors.Is(err, syscall.EIO) || errors.Is(err, fs.ErrPermission) }

// rereading reads something of the disk, up to maxReads times where an error may pass.
func rereading(ctx context.Context, read func() error) error {
	for n := 1; ; n++ {
		err := read()
		if saysNothing(err) || !mayPass(err) || n == maxReads {
			return err
		}
		if pause(ctx, time.Duration(n)*100*time.Millisecond) != nil {
			return errors.Join(err, context.Cause(ctx))
		}
	}
}

// outOfFiles reports whether this process, or the machine, has as many files and connections open as it may: a condition
// that no track is to blame for.
func outOfFiles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// saysNothing reports whether an error is none of the file or the object that it was met at:
// it is of the moment, or of the whole disk or bucket.
func saysNothing(err error) bool { return track.IsRetryable(err) || errors.Is(err, track.ErrPlace) }

// cannotOpen returns what becomes of a track whose file could not be opened.
func cannotOpen(err error) (track.Result, error) {
	switch {
	case saysNothing(err), mayPass(err):
		return nil, err
	case errors.Is(err, track.ErrNotFound):
		return track.Failure{Kind: track.Missing, Err: err}, nil
	case errors.Is(err, track.ErrOutsideRoot):
		return track.Failure{Kind: track.OutsideRoot, Err: err}, nil
	}
	return track.Failure{Kind: track.Unreadable, Err: err}, nil
}

// lasting makes the track's failure of an error that may pass and has not; any other stays as it is.
func lasting(result track.Result, err error) (track.Result, error) {
	if mayPass(err) && !saysNothing(err) {
		return track.Failure{Kind: track.Unreadable, Err: err}, nil
	}
	return result, err
}

// cannotRead returns what becomes of a track whose file could not be read.
func cannotRead(err error) (track.Result, error) {
	if errors.Is(err, errChanged) || mayPass(err) || saysNothing(err) {
		return nil, err
	}
	return track.Failure{Kind: track.Unreadable, Err: err}, nil
}
