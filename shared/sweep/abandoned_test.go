package sweep_test

import (
	"sync"
	"testing"
	"time"

	"trackstore/shared/track"
)

// A track that was opened and never got a file is taken away when nothing was sent for it for the grace, and the bytes of
// its uploads are gone. One that has a file, or may still get one, stays.
func TestTracksThatNeverGotAFileAreTakenAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	alone := r.expired(track.ID{}, track.S3, grace+time.Hour)
	came := r.expired(track.ID{}, track.S3, grace+time.Hour)
	r.put(track.S3, came.Key) // its event was lost: it is found right before it would go
	young := r.expired(track.ID{}, track.S3, grace-time.Hour)
	again := r.expired(track.ID{}, track.S3, grace+time.Hour)
	r.Ticket(again.TrackID, track.S3)
	twice := r.expired(track.ID{}, track.S3, grace+time.Hour)
	r.expired(twice.TrackID, track.S3, grace-time.Hour)
	replaced := r.Track("", "old.wav")
	r.expired(replaced, track.S3, grace+time.Hour)
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, status) VALUES (gen_random_uuid(), gen_random_uuid(), 'the platform''s own', '', 'uploading')`)

	if got := r.sweep(); got.Abandoned != 0 { // the bytes are looked for first
		t.Errorf("%+v", got)
	}
	if got := r.sweep(); got.Abandoned != 1 {
		t.Errorf("%+v", got)
	}
	if got := r.query("SELECT string_agg(id::text, ' ') FROM tracks WHERE deleted_at IS NOT NULL"); got != alone.TrackID.String() {
		t.Errorf("deleted are %s, and not %s alone", got, alone.TrackID)
	}
	if state := r.state(came); state != "stored" {
		t.Errorf("the one whose event was lost is %s", state)
	}
	if got := r.query("SELECT count(*) FROM track_events WHERE type = 'deleted'"); got != "0" {
		t.Errorf("%s events of a deletion", got)
	}
	r.Exec("UPDATE track_uploads SET finished_at = finished_at - interval '1 day' WHERE track_id = ANY ($1)", []track.ID{young.TrackID, twice.TrackID})
	r.Exec("UPDATE track_discards SET discarded_at = discarded_at - interval '1 day'")
	r.sweep()
	if got := r.sweep(); got.Abandoned != 2 {
		t.Errorf("a day later: %+v", got)
	}
}

// However many were left alone since the last sweep, one sweep takes them away.
func TestASweepTakesAwayAllThatWereLeftAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Exec(`WITH new AS (
			INSERT INTO tracks (id, creator_id, title, file_path, status)
			SELECT gen_random_uuid(), gen_random_uuid(), 'x', '', 'failed' FROM generate_series(1, 5500) RETURNING id
		)
		INSERT INTO track_uploads (id, track_id, user_id, state, method, backend, storage_key, size, max_size, format, content_type, expires_at, created_at, finished_at)
		SELECT gen_random_uuid(), id, id, 'aborted', 'put', 's3', 'uploads/' || id, 1, 1, 'wav', 'audio/wav', now() - interval '60 days', now() - interval '60 days', now() - interval '60 days'
		FROM new`)
	if got := r.sweep(); got.Abandoned != 5500 {
		t.Errorf("%+v", got)
	}
}

// Whoever opens an upload for a track at the moment when that is taken away gets either no ticket, or a track that stays.
func TestNoUploadIsOpenedForATrackThatIsTakenAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const rounds = 40
	var opening sync.WaitGroup
	for range rounds {
		u := r.expired(track.ID{}, track.S3, grace+time.Hour)
		r.Exec("UPDATE track_discards SET removed_at = now(), gone_at = now()")
		opening.Go(func() {
			next := u
			next.ID = track.NewID()
			next.Key = track.UploadKey(u.TrackID, next.ID, "x.wav")
			_, _ = r.Store.OpenUpload(t.Context(), track.Ticket{Upload: next, Life: time.Hour, MaxPending: 10_000}) // either is good
		})
		if _, _, _, err := r.Store.SettleNewTracks(t.Context(), grace, 0, "", 1000); err != nil {
			t.Error(err)
		}
	}
	opening.Wait()
	if got := r.query(`SELECT count(*) FROM track_uploads u JOIN tracks t ON t.id = u.track_id WHERE u.state = 'pending' AND t.deleted_at IS NOT NULL`); got != "0" {
		t.Errorf("%s uploads are open for tracks that are deleted", got)
	}
	if got := r.query(`SELECT count(*) FROM tracks WHERE deleted_at IS NOT NULL`); got == "0" {
		t.Error("none was taken away")
	}
}

// A sweep finds all that has become due since the last one, however much that is, and looks through a part of what was looked
// at before.
func TestDeletedTracksAreFoundInRounds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// At one moment, and more than a sweep looks through again.
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, deleted_at)
		SELECT gen_random_uuid(), gen_random_uuid(), 'x', '', now() - interval '30 days' FROM generate_series(1, 7500)`)
	if first := r.sweep(); first.Deleted != 7500 {
		t.Errorf("the first sweep: %+v", first)
	}
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, deleted_at)
		SELECT gen_random_uuid(), gen_random_uuid(), 'x', '', now() - interval '29 days' FROM generate_series(1, 5500)`)
	if second := r.sweep(); second.Deleted != 5500 {
		t.Errorf("the second: %+v", second)
	}
	// Backdated, behind what was looked at.
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, deleted_at) VALUES (gen_random_uuid(), gen_random_uuid(), 'x', '', now() - interval '60 days')`)
	found := 0
	for range 3 {
		found += r.sweep().Deleted
	}
	if found != 1 {
		t.Errorf("of one that was backdated, %d were found", found)
	}
}

// BenchmarkSteps measures what the steps of a sweep cost that look at what only grows: after 200,000 deleted tracks, and
// with 1,400,000 notes of bytes that are gone. Milliseconds a sweep.
func BenchmarkSteps(b *testing.B) {
	r := newRig(b)
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, deleted_at)
		SELECT gen_random_uuid(), gen_random_uuid(), 'x', '', now() - interval '30 days' FROM generate_series(1, 200000)`)
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT id, 's3', 'uploads/' || id || '/', 'deleted', deleted_at, now(), now() FROM tracks`)
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT gen_random_uuid(), 's3', 'old/' || n, 'replaced', now() - interval '3 days', now(), now() FROM generate_series(1, 1200000) AS n`)
	r.Exec(`VACUUM ANALYZE tracks, track_discards`)
	step := func(name string, one func() error) {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := one(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	store, after := r.Store, ""
	step("deleted tracks", func() error {
		for range 5 {
			_, of, err := store.DeletedBytes(b.Context(), grace, after, 1000)
			if err != nil {
				return err
			}
			if after = of.Last; of.IsEnd {
				after = ""
			}
		}
		return nil
	})
	step("due notes", func() error {
		_, err := store.DueDiscards(b.Context(), track.S3, grace, track.Discard{}, 200)
		return err
	})
	step("notes to forget", func() error {
		_, err := store.ForgetDiscards(b.Context(), grace, 2000)
		return err
	})
	r.sweep() // the first one that sees these tracks
	step("a whole sweep", func() error {
		r.sweep()
		return nil
	})
}
