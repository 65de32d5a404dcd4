package migrate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"syscall"
	"time"

	"trackstore/shared/track"
)

// prove asks disk and S3 whether they answer, and are who they should be. Absence counts only
// in a place that has proved it (R7).
func prove(ctx context.Context, files Files, bucket Bucket) error {
	if err := bucket.Prove(ctx); err != nil {
		return fmt.Errorf("S3 does not answer as it should: %w", err)
	}
	if err := files.Prove(ctx); err != nil {
		return fmt.Errorf("the root of the files on disk: %w", err)
	}
	return nil
}

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
