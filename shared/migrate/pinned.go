package migrate

import (
	"context"
	"errors"
	"fmt"

	"trackstore/shared/track"
)

// pinned is an object that a row names, and where it lies.
type pinned[B Bucket] struct {
	track.Object
	bucket B
}

// digest returns S3's word where it knows it, else that of reading.
func (p pinned[B]) digest(ctx context.Context) (track.Digest, error) {
	return objectDigest(ctx, p.bucket, p.Object)
}

// headPinned describes the object that a row names, in the bucket that it names. notCurrent is what readers of the key
// alone get instead of the version that the row pins: a delete marker, as a stray removal leaves it, or a later write.
// Empty: they get the same. The current version is looked at first, so that nearly always one question is enough.
func headPinned[B Bucket](ctx context.Context, here B, elsewhere track.Elsewhere[B], o *track.StoredObject) (p pinned[B], notCurrent string, err error) {
	if p.bucket, err = elsewhere.Find(here, o.Bucket); err != nil {
		return p, "", err
	}
	current, err := p.bucket.Head(ctx, o.Key, "")
	if o.VersionID == "" || err == nil && current.VersionID == o.VersionID {
		p.Object = current
		return p, "", err
	}
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		return p, "", err
	}
	notCurrent = "the key has a delete marker: readers of the key alone find nothing"
	if err == nil {
		notCurrent = fmt.Sprintf("the key's current version is %s, of %d bytes, and not %s, which the row pins", current.VersionID, current.Size, o.VersionID)
	}
	if p.Object, err = p.bucket.Head(ctx, o.Key, o.VersionID); err == nil {
		p.VersionID = o.VersionID
	}
	return p, notCurrent, err
}
