package sweep_test

import (
	"testing"

	"trackstore/shared/track"
)

// What only grows is removed when nobody needs it any more, and not before; a track that has its file from a forgotten
// ticket plays on.
func TestRecordsThatAreOldAreForgotten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old, young, open := r.Ticket(track.ID{}, track.S3), r.Ticket(track.ID{}, track.S3), r.Ticket(track.ID{}, track.S3)
	for _, u := range []track.Upload{old, young} {
		r.put(track.S3, u.Key)
		if _, err := r.config.Confirm.ConfirmEach(t.Context(), []track.ID{u.ID}, false); err != nil {
			t.Fatal(err)
		}
	}
	r.Exec(`UPDATE track_uploads SET created_at = now() - interval '100 days', finished_at = now() - interval '91 days' WHERE id = $1`, old.ID)
	r.Exec(`UPDATE track_events SET created_at = now() - interval '31 days' WHERE track_id = $1`, old.TrackID)
	r.Exec(`INSERT INTO companion_sessions (token_hash, user_id, created_at, expires_at)
		SELECT sha256(n::text::bytea), gen_random_uuid(), now() - interval '2 days', now() + n * interval '1 hour' FROM generate_series(-5, 1) AS n`)
	r.sweep()
	counts := func(table string) (n int) {
		if err := r.DB.QueryRow(t.Context(), `SELECT count(*) FROM `+table).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if got := counts(`track_uploads`); got != 2 {
		t.Errorf("%d tickets are left", got)
	}
	if got := counts(`companion_sessions`); got != 1 {
		t.Errorf("%d companion sessions are left", got)
	}
	if got := counts(`track_events`); got != 1 {
		t.Errorf("%d events are left", got)
	}
	if u, err := r.Store.Upload(t.Context(), open.UserID, open.ID); err != nil || u.State != track.UploadPending {
		t.Errorf("the open one: %+v, %v", u, err)
	}
	if got, err := r.Store.Track(t.Context(), old.UserID, old.TrackID); err != nil || !got.HasFile() {
		t.Errorf("the track of the forgotten ticket: %+v, %v", got, err)
	}
	if object, err := r.S3.Head(t.Context(), old.Key, ""); err != nil || object.Size == 0 {
		t.Errorf("its object: %+v, %v", object, err)
	}
}

// A note of bytes that are gone stays as long as a worker may have seen them: its flip is to find it, even
// when it was stopped for longer than a grace.
func TestANoteStaysWhileItsTrackIsLeased(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := track.NewID()
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		VALUES ($1, 's3', 'tracks/x', 'orphaned', now() - interval '90 days', now() - interval '80 days', now() - interval '80 days')`, id)
	r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, lease_token, lease_expires_at, started_at)
		VALUES ($1, 'to_s3', 1, 'leased', $1, now() - interval '80 days', now())`, id)
	notes := "SELECT count(*) FROM track_discards"
	if r.sweep(); r.query(notes) != "1" {
		t.Error("the note of a track that is leased is forgotten")
	}
	r.Exec(`DELETE FROM track_migrations`)
	if r.sweep(); r.query(notes) != "0" {
		t.Error("the note is not forgotten")
	}
}
