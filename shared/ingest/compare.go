package ingest

import (
	"context"
	"fmt"

	"trackstore/shared/track"
)

// Has reports whether the bytes of a stored upload have a checksum. Where the storage keeps
// none by its algorithm, and the upload was checked with this one, they are not read again.
// track.ErrNotFound: they are not there any more.
func (in *Ingester) Has(ctx context.Context, u track.Upload, sum track.Checksum) (bool, error) {
	b, ok := in.Backends[u.Backend]
	if !ok {
		return false, fmt.Errorf("the %s storage is not configured here", u.Backend)
	}
	object, err := b.Head(ctx, u.Key, u.VersionID)
	if err != nil {
		return false, err
	}
	for _, checked := range []*track.Checksum{u.Checksum, u.SentChecksum} {
		if _, kept := object.Checksum(sum.Algorithm); !kept && checked != nil && *checked == sum {
			return true, nil
		}
	}
	found, err := in.checksums(ctx, b, u.ID, object, sum.Algorithm)
	return found[sum.Algorithm] == sum, err
}
