package migrate_test

import (
	"context"
	"fmt"
	"io"
	"sync/atomic"
	"testing"

	"trackstore/shared/migrate"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// answering is S3 whose answers to PUTs are changed on the way, and whose HEADs are counted.
type answering struct {
	*s3store.Store
	change func(*track.Object) error
	heads  atomic.Int32
}

func (s *answering) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	o, err := s.Store.Create(ctx, spec, body)
	if err == nil {
		err = s.change(&o)
	}
	return o, err
}

func (s *answering) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	s.heads.Add(1)
	return s.Store.Head(ctx, key, versionID)
}

// The answer to a PUT verifies it where it has the checksum of what S3 received, and the version; whatever else it is, S3
// is asked what it has. Either way the row pins the object that is there.
func TestTheAnswerToAPutVerifiesIt(t *testing.T) {
	t.Parallel()
	lost := fmt.Errorf("the answer is lost: %w", track.ErrUnavailable)
	for name, c := range map[string]struct {
		change func(*track.Object) error
		asked  bool
	}{
		"as S3 gives it":      {func(*track.Object) error { return nil }, false},
		"without a checksum":  {func(o *track.Object) error { o.Checksums = nil; return nil }, true},
		"of another checksum": {func(o *track.Object) error { o.Checksums = []track.Checksum{track.NewCRC64NVME(1)}; return nil }, true},
		"of another size":     {func(o *track.Object) error { o.Size++; return nil }, true},
		"without a version":   {func(o *track.Object) error { o.VersionID = ""; return nil }, true},
		"cut off":             {func(*track.Object) error { return lost }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			content := []byte("the bytes of a small file")
			id := r.add("small.wav", content)
			bucket := &answering{Store: r.S3, change: c.change}
			summary, _ := r.run(migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: bucket, Large: r.S3, Sniff: noSniff}), job())
			if summary.Migrated != 1 || (bucket.heads.Load() > 0) != c.asked {
				t.Errorf("%+v, with %d HEADs", summary, bucket.heads.Load())
			}
			r.holds(id, track.S3, content)
			key, version := r.one(`SELECT storage_key FROM tracks WHERE id = $1`, id), r.one(`SELECT storage_version_id FROM tracks WHERE id = $1`, id)
			if o, err := r.S3.Head(t.Context(), key, ""); err != nil || o.VersionID != version {
				t.Errorf("the row pins %q, S3 has %q, %v", version, o.VersionID, err)
			}
		})
	}
}
