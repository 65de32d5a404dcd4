package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"trackstore/shared/migrate"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// refusing is a bucket that lets nobody read one of its objects, as where that was moved to
// an archive.
type refusing struct {
	*s3store.Store
	key string
}

func (s refusing) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	if key == s.key {
		return nil, fmt.Errorf("%w: %w", track.ErrForbidden, errors.New("InvalidObjectState"))
	}
	return s.Store.Open(ctx, key, versionID, offset, length)
}

// An object that cannot be read is a finding, and the others are verified.
func TestVerifyGoesOnAfterAnObjectThatCannotBeRead(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(20)
	id := r.add("archived.wav", []byte("archived"))
	r.run(r.upload(), job())
	key := r.one(`SELECT storage_key FROM tracks WHERE id = $1`, id)
	var found []migrate.Finding
	v, err := migrate.Verify(t.Context(), r.Store, r.Disk, refusing{r.S3, key}, 1, func(f migrate.Finding) { found = append(found, f) })
	if err != nil || v.Checked != 21 || v.Findings != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if len(found) != 1 || found[0].Kind != migrate.ObjectUnreadable || found[0].TrackID != id || !strings.Contains(found[0].Detail, "InvalidObjectState") {
		t.Errorf("%+v", found)
	}
}
