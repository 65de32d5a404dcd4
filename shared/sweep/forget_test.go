package sweep_test

import (
	"errors"
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

// However much has come since the last sweep, one sweep removes it: else a table grows for ever where more comes than one
// batch has.
func TestASweepForgetsAllThatIsOld(t *testing.T) {
	t.Parallel()
	const many = "generate_series(1, 4500)"
	r := newRig(t)
	r.Exec(`INSERT INTO track_uploads (id, track_id, user_id, state, method, backend, storage_key, size, max_size, format, content_type, expires_at, created_at, finished_at)
		SELECT gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'aborted', 'put', 's3', 'uploads/' || n || '.wav', 1, 1, 'wav', 'audio/wav',
			now() - interval '99 days', now() - interval '100 days', now() - interval '91 days' FROM ` + many + ` AS n`)
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT gen_random_uuid(), 's3', 'tracks/' || n, 'orphaned', now() - interval '90 days', now() - interval '80 days', now() - interval '80 days' FROM ` + many + ` AS n`)
	r.Exec(`INSERT INTO track_events (track_id, type, data, created_at) SELECT gen_random_uuid(), 'ready', '{}', now() - interval '31 days' FROM ` + many)
	r.Exec(`INSERT INTO companion_sessions (token_hash, user_id, created_at, expires_at)
		SELECT sha256(n::text::bytea), gen_random_uuid(), now() - interval '2 days', now() - interval '1 hour' FROM ` + many + ` AS n`)
	r.sweep()
	for _, table := range []string{"track_uploads", "track_discards", "track_events", "companion_sessions"} {
		if got := r.query("SELECT count(*) FROM " + table); got != "0" {
			t.Errorf("%s rows of %s are left", got, table)
		}
	}
}

// Of a track whose row was deleted outright nothing is kept for ever; of one that is only marked as deleted, its
// record, and a note that it was looked at.
func TestNothingIsKeptOfATrackThatWasRemoved(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	removed, marked := r.Ticket(track.ID{}, track.S3), r.Ticket(track.ID{}, track.S3)
	for _, u := range []track.Upload{removed, marked} {
		r.put(track.S3, u.Key)
		if _, err := r.config.Confirm.ConfirmEach(t.Context(), []track.ID{u.ID}, false); err != nil {
			t.Fatal(err)
		}
		r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, started_at, finished_at)
			VALUES ($1, 'to_s3', 1, 'migrated', 'tracks/x', 1, '0123456789abcdef', now(), now())`, u.TrackID)
	}
	r.Exec(`DELETE FROM tracks WHERE id = $1`, removed.TrackID)
	r.Exec(`UPDATE tracks SET deleted_at = now() - interval '60 days' WHERE id = $1`, marked.TrackID)
	for range 3 { // bytes, their notes, the last note
		r.Exec(`UPDATE track_discards SET discarded_at = discarded_at - interval '60 days', removed_at = removed_at - interval '60 days', gone_at = gone_at - interval '60 days'`)
		r.sweep()
	}
	for id, want := range map[track.ID]string{removed.TrackID: "0 0", marked.TrackID: "1 1"} {
		if got := r.query(`SELECT (SELECT count(*) FROM track_migrations WHERE track_id = '` + id.String() + `') || ' ' ||
			(SELECT count(*) FROM track_discards WHERE track_id = '` + id.String() + `')`); got != want {
			t.Errorf("records and notes of %s: %s, want %s", id, got, want)
		}
	}
	for _, u := range []track.Upload{removed, marked} {
		if _, err := r.S3.Head(t.Context(), u.Key, ""); !errors.Is(err, track.ErrNotFound) {
			t.Errorf("the object: %v", err)
		}
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
