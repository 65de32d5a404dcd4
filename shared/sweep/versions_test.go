package sweep_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// A form that is sent again after it was stored leaves a version that no row pins: the sweep
// removes it after the grace, and never the one that the row pins, whichever is the current one.
func TestVersionsThatNoRowPinsGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	again := func(key string) string {
		out, err := r.Bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.Bucket.Name, Key: &key, Body: bytes.NewReader([]byte("again"))})
		if err != nil {
			t.Fatal(err)
		}
		return aws.ToString(out.VersionId)
	}
	versions := func(key string) (n int) {
		for v, err := range r.S3.Versions(t.Context(), key, "") {
			if err != nil {
				t.Fatal(err)
			}
			if v.Key == key {
				n++
			}
		}
		return n
	}
	stored := r.Ticket(track.ID{}, track.S3)
	r.put(track.S3, stored.Key)
	r.sweep()
	pinned := r.query("SELECT storage_version_id FROM tracks WHERE id = $1", stored.TrackID)
	again(stored.Key)
	again(stored.Key)
	// A row that pins a version which is not there: of a bucket that was copied.
	copied := r.Track("uploads/copied.wav", "")
	r.put(track.S3, "uploads/copied.wav")
	again("uploads/copied.wav")
	r.Exec("UPDATE tracks SET storage_version_id = 'elsewhere' WHERE id = $1", copied)
	// A row that pins none, and an object that no row names.
	r.Track("uploads/unpinned.wav", "")
	for _, key := range []string{"uploads/unpinned.wav", "uploads/unknown.wav"} {
		r.put(track.S3, key)
		again(key)
	}
	// A pending upload: any of them may be the one that is stored.
	pending := r.Ticket(track.ID{}, track.S3, func(u *track.Ticket) { u.Size = 1 })

	if got := r.sweep(); got.Removed != 0 || versions(stored.Key) != 3 {
		t.Errorf("within the grace: %+v, %d versions", got, versions(stored.Key))
	}
	r.config.Grace = time.Nanosecond
	if got := r.dryRun(); len(got) != 2 {
		t.Errorf("a dry run says %q", got)
	}
	if got := r.sweep(); got.Removed != 2 {
		t.Errorf("%+v", got)
	}
	if head, err := r.S3.Head(t.Context(), stored.Key, ""); err != nil || head.VersionID != pinned || versions(stored.Key) != 1 {
		t.Errorf("%+v, %v, %d versions, pinned %s", head, err, versions(stored.Key), pinned)
	}
	for _, key := range []string{"uploads/copied.wav", "uploads/unpinned.wav", "uploads/unknown.wav"} {
		if versions(key) != 2 {
			t.Errorf("%s: %d versions", key, versions(key))
		}
	}
	if r.state(pending) != "pending" {
		t.Error(r.state(pending))
	}
}

// What a row pinned until a moment ago stays for a grace: a database that is restored may pin it again.
func TestVersionsThatWerePinnedStayForAGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.Track("tracks/x/1-a.wav", "")
	r.put(track.S3, "tracks/x/1-a.wav")
	out, err := r.Bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: &r.Bucket.Name, Key: aws.String("tracks/x/1-a.wav"), Body: bytes.NewReader(wav),
	})
	if err != nil {
		t.Fatal(err)
	}
	r.Exec("UPDATE tracks SET storage_version_id = $2 WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'", id, *out.VersionId)
	// The flip is younger than the grace, which both versions are older than.
	r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, started_at, finished_at)
		VALUES ($1, 'to_s3', 1, 'migrated', 'tracks/x/1-a.wav', 1, '0000000000000001', now(), now() + interval '1 hour')`, id)
	r.config.Grace = time.Nanosecond
	if got := r.sweep(); got.Removed != 0 {
		t.Errorf("%+v", got)
	}
	r.Exec(`UPDATE track_migrations SET finished_at = now() - interval '1 hour'`)
	if got := r.sweep(); got.Removed != 1 {
		t.Errorf("after the grace: %+v", got)
	}
}
