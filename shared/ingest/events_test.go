package ingest_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
)

// told are the events of a track, each as "type: state of the track, its backend, key, upload and reason".
func (r *rig) told(trackID track.ID) []string {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), `SELECT type, data FROM track_events WHERE track_id = $1 ORDER BY seq`, trackID)
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var kind string
		var text []byte
		if err := rows.Scan(&kind, &text); err != nil {
			r.T.Fatal(err)
		}
		var data map[string]any
		if err := json.Unmarshal(text, &data); err != nil {
			r.T.Fatal(err)
		}
		for _, name := range []string{"track_id", "owner_id", "title", "created_at", "updated_at"} {
			if data[name] == nil {
				r.T.Errorf("%s of a %s event is missing: %s", name, kind, text)
			}
		}
		line := kind + ":"
		for _, name := range []string{"status", "storage_backend", "storage_key", "upload_id", "reason"} {
			value, _ := data[name].(string)
			line += " " + value
		}
		all = append(all, line)
	}
	return all
}

// Each file that a track gets, or is refused, leaves one event, in the same statement; a repetition leaves none.
func TestEventsAreWrittenWithTheChange(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
	a := r.ticket(track.ID{}, track.S3, first)
	r.send(a, first)
	for range 2 {
		if _, err := r.Confirm(t.Context(), a.ID); err != nil {
			t.Fatal(err)
		}
	}
	text := []byte("all work and no play makes Jack a dull boy, and no WAV file")
	bad := r.ticket(a.TrackID, track.S3, text)
	r.send(bad, text)
	b := r.ticket(a.TrackID, track.S3, second)
	r.send(b, second)
	if _, err := r.Confirm(t.Context(), bad.ID, b.ID); err != nil {
		t.Fatal(err)
	}
	never := r.ticket(track.ID{}, track.S3, text)
	r.send(never, text)
	if _, err := r.ConfirmEach(t.Context(), []track.ID{never.ID}, true); err != nil {
		t.Fatal(err)
	}
	if got := r.told(never.TrackID); len(got) != 0 {
		t.Errorf("a preview told %q", got)
	}
	if _, err := r.Confirm(t.Context(), never.ID); err != nil {
		t.Fatal(err)
	}
	if err := r.Store.DeleteTrack(t.Context(), a.UserID, a.TrackID); err != nil {
		t.Fatal(err)
	}
	got := r.told(a.TrackID)
	if len(got) == 4 && got[1] > got[2] { // of one statement, in either order
		got[1], got[2] = got[2], got[1]
	}
	want := []string{
		"ready: ready s3 " + a.Key + " " + a.ID.String() + " ",
		"failed: ready s3 " + a.Key + " " + bad.ID.String() + " not_audio",
		"replaced: ready s3 " + b.Key + " " + b.ID.String() + " ",
		"deleted: ready s3 " + b.Key + "  ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	want = []string{"failed: failed local  " + never.ID.String() + " not_audio"}
	if diff := cmp.Diff(want, r.told(never.TrackID)); diff != "" {
		t.Error(diff)
	}
}
