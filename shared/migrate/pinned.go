package migrate

import (
	"context"
	"errors"
	"fmt"

	"trackstore/shared/track"
)

// Heads looks at objects.
type Heads interface {
	// Head describes an object: the version, or the current one where versionID is empty. None is
	// track.ErrNotFound. It may be repeated.
	Head(ctx context.Context, key, versionID string) (track.Object, error)
}

// headPinned describes the object that a row names. notCurrent is what readers of the key alone get instead of the
// version that the row pins: a delete marker, as a stray removal leaves it, or a later write. Empty: they get the same. The
// current version is looked at first, so that nearly always one question is enough.
func headPinned(ctx context.Context, bucket Heads, o *track.StoredObject) (object track.Object, notCurrent string, err error) {
	current, err := bucket.Head(ctx, o.Key, "")
	if o.VersionID == "" || err == nil && current.VersionID == o.VersionID {
		return current, "", err
	}
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return track.Object{}, "", err
	}
	notCurrent = "the key has a delete marker: readers of the key alone find nothing"
	if err == nil {
		notCurrent = fmt.Sprintf("the key's current version is %s, of %d bytes, and not %s, which the row pins", current.VersionID, current.Size, o.VersionID)
	}
	if object, err = bucket.Head(ctx, o.Key, o.VersionID); err == nil {
		object.VersionID = o.VersionID
	}
	return object, notCurrent, err
}
