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
