package migrate_test

import (
	"bytes"
	"slices"
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
	kinds := func(grace time.Duration) (kinds []string, within int64) {
		a, err := migrate.Auditor{Uses: s.Store, Files: s.Disk, Bucket: s.S3, Found: func(f migrate.Finding) {
			if f.StorageKey != key {
				t.Errorf("%+v", f)
			}
			kinds = append(kinds, f.Kind)
		}}.Audit(t.Context(), grace)
		if err != nil {
			t.Fatal(err)
		}
		return kinds, a.WithinGrace
	}
	// Until the sweep removes it, readers of the key alone get the later one.
	if found, within := kinds(time.Hour); !slices.Equal(found, []string{migrate.NotCurrent}) || within != 1 {
		t.Errorf("within its grace: %v, %d", found, within)
	}
	if found, _ := kinds(time.Nanosecond); !slices.Equal(found, []string{migrate.NotCurrent, migrate.UnpinnedVersion}) {
		t.Errorf("after it: %v", found)
	}
}
