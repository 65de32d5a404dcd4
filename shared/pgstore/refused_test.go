package pgstore_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

// A request for a track that somebody has locked is told so at once, and changes nothing.
func TestALockedTrackIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	s := stores.New(t)
	u := s.Ticket(track.ID{}, track.S3)
	tx, err := s.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(t.Context()) //nolint:errcheck // the test is over
	if _, err := tx.Exec(t.Context(), "SELECT FROM tracks WHERE id = $1 FOR UPDATE", u.TrackID); err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"delete": func() error { return s.Store.DeleteTrack(t.Context(), stores.Owner, u.TrackID) },
		"rename": func() error {
			_, err := s.Store.SetTitle(t.Context(), stores.Owner, u.TrackID, "x")
			return err
		},
	} {
		began := time.Now()
		if err := call(); !errors.Is(err, track.ErrLocked) || !track.IsRetryable(err) || time.Since(began) > time.Second {
			t.Errorf("%s: %v after %v", name, err, time.Since(began))
		}
	}
	if got, err := s.Store.Upload(t.Context(), stores.Owner, u.ID); err != nil || got.State != track.UploadPending {
		t.Errorf("its upload: %+v, %v", got, err)
	}
}

// A request that the platform's table refuses, also without a word, is told so, and changes nothing.
func TestARefusedRequest(t *testing.T) {
	t.Parallel()
	for name, platform := range map[string]string{
		"a CHECK": "ALTER TABLE tracks ADD CONSTRAINT no_bad CHECK (title <> 'bad' AND deleted_at IS NULL)",
		"a trigger that swallows it": `CREATE FUNCTION platform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
			CREATE TRIGGER a_platform BEFORE INSERT OR UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION platform()`,
		"a trigger that makes it another's": `CREATE FUNCTION platform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
				NEW.creator_id := gen_random_uuid(); NEW.deleted_at := NULL; RETURN NEW; END $$;
			CREATE TRIGGER a_platform BEFORE INSERT ON tracks FOR EACH ROW EXECUTE FUNCTION platform();
			CREATE FUNCTION platform2() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
			CREATE TRIGGER b_platform BEFORE UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION platform2()`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stores.New(t)
			u := s.Ticket(track.ID{}, track.S3)
			s.Exec(platform)
			bad := track.Ticket{Title: "bad", Life: time.Hour, MaxPending: 10}
			bad.ID, bad.TrackID, bad.UserID = track.NewID(), track.NewID(), stores.Owner
			bad.Method, bad.Backend, bad.MaxSize, bad.Format, bad.ContentType = track.MethodPut, track.S3, 1, track.WAV, "audio/wav"
			bad.Key = track.UploadKey(bad.TrackID, bad.ID, "x.wav")
			if _, err := s.Store.OpenUpload(t.Context(), bad); !errors.Is(err, track.ErrRefused) {
				t.Errorf("open: %v", err)
			}
			if _, err := s.Store.Upload(t.Context(), stores.Owner, bad.ID); !errors.Is(err, track.ErrNotFound) {
				t.Errorf("it left an upload: %v", err)
			}
			if err := s.Store.DeleteTrack(t.Context(), stores.Owner, u.TrackID); !errors.Is(err, track.ErrRefused) {
				t.Errorf("delete: %v", err)
			}
			if got, err := s.Store.Upload(t.Context(), stores.Owner, u.ID); err != nil || got.State != track.UploadPending {
				t.Errorf("the upload of the track that is not deleted: %+v, %v", got, err)
			}
			if _, err := s.Store.SetTitle(t.Context(), stores.Owner, u.TrackID, "bad"); !errors.Is(err, track.ErrRefused) || name == "a CHECK" && !strings.Contains(err.Error(), "no_bad") {
				t.Errorf("rename: %v", err)
			}
		})
	}
}
