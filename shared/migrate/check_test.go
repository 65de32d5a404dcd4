package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

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

func (s refusing) Read(ctx context.Context, key string) (track.Object, io.ReadCloser, error) {
	if key == s.key {
		_, err := s.Open(ctx, key, "", 0, -1)
		return track.Object{}, nil, err
	}
	return s.Store.Read(ctx, key)
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
	v, err := migrate.Verifier{Records: r.Store, Files: r.Disk, Bucket: refusing{r.S3, key}, Found: func(f migrate.Finding) { found = append(found, f) }}.Verify(t.Context(), 1, track.ID{})
	if err != nil || v.Checked != 21 || v.Findings != 1 {
		t.Errorf("%+v, %v", v, err)
	}
	if len(found) != 1 || found[0].Kind != migrate.ObjectUnreadable || found[0].TrackID != id || !strings.Contains(found[0].Detail, "InvalidObjectState") {
		t.Errorf("%+v", found)
	}
}

// counted counts how often an object is read.
type counted struct {
	*s3store.Store
	reads atomic.Int32
}

func (s *counted) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	if strings.HasPrefix(key, track.UploadsPrefix) {
		s.reads.Add(1)
	}
	return s.Store.Open(ctx, key, versionID, offset, length)
}

func (s *counted) Read(ctx context.Context, key string) (track.Object, io.ReadCloser, error) {
	if strings.HasPrefix(key, track.UploadsPrefix) {
		s.reads.Add(1)
	}
	return s.Store.Read(ctx, key)
}

// An upload may have come with another checksum than CRC64NVME. It is read once all the same.
func TestVerifyReadsAnObjectOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.insert("")
	key, c := track.UploadKey(id, track.NewID(), "x.wav"), []byte("uploaded")
	if _, err := r.Bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &r.Bucket.Name, Key: &key, Body: bytes.NewReader(c), ChecksumAlgorithm: types.ChecksumAlgorithmSha256,
	}); err != nil {
		t.Fatal(err)
	}
	r.Exec(`UPDATE tracks SET storage_backend = 's3', storage_key = $2 WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'`, id, key)
	bucket := &counted{Store: r.S3}
	v, err := migrate.Verifier{Records: r.Store, Files: r.Disk, Bucket: bucket, Found: func(f migrate.Finding) { t.Errorf("%+v", f) }}.Verify(t.Context(), 1, track.ID{})
	if err != nil || v.Checked != 1 || v.Recorded != 1 || bucket.reads.Load() != 1 {
		t.Errorf("%+v, %v, %d reads", v, err, bucket.reads.Load())
	}
	want := track.Digest{CRC64NVME: crcOf(c)}.Hex() + " 8"
	if got := r.one(`SELECT crc64nvme || ' ' || size FROM track_migrations`); got != want {
		t.Errorf("%s is recorded", got)
	}
}
