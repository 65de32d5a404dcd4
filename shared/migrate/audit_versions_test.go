package migrate_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// A version that no row pins, beside the one that a row does, is named until the sweep removes it.
func TestAuditNamesVersionsThatNoRowPins(t *testing.T) {
	t.Parallel()
	s := stores.New(t)
	key := "uploads/" + track.NewID().String() + "/a.wav"
	put := func() *string {
		out, err := s.Bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &s.Bucket.Name, Key: &key, Body: bytes.NewReader([]byte("x"))})
		if err != nil {
			t.Fatal(err)
		}
		return out.VersionId
	}
	s.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key, storage_version_id)
		VALUES ($1, $2, 'x', '', 's3', $3, $4)`, track.NewID(), stores.Owner, key, put())
	put()
	var found []migrate.Finding
	auditor := migrate.Auditor{Uses: s.Store, Files: s.Disk, Bucket: s.S3, Found: func(f migrate.Finding) { found = append(found, f) }}
	if a, err := auditor.Audit(t.Context(), time.Hour); err != nil || a.Findings != 0 || a.WithinGrace != 1 {
		t.Errorf("within its grace: %+v, %v, %+v", a, err, found)
	}
	if a, err := auditor.Audit(t.Context(), time.Nanosecond); err != nil || a.Findings != 1 || found[0].Kind != migrate.UnpinnedVersion || found[0].StorageKey != key {
		t.Errorf("%+v, %v, %+v", a, err, found)
	}
}
