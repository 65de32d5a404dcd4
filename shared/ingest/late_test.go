package ingest_test

import (
	"testing"
	"time"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

// expired opens an upload and lets its time run out, as long ago as that; as the sweep does.
func (r *rig) expired(trackID track.ID, backend string, file []byte, ago time.Duration) track.Upload {
	r.T.Helper()
	u := r.ticket(trackID, backend, file)
	r.Exec("UPDATE track_uploads SET created_at = created_at - interval '1 day', expires_at = now() - interval '1 hour' WHERE id = $1", u.ID)
	got, err := r.Store.ExpireUploads(r.T.Context(), []track.ID{u.ID})
	if err != nil || len(got) != 1 || got[0].State != track.UploadExpired {
		r.T.Fatalf("%+v, %v", got, err)
	}
	r.Exec("UPDATE track_uploads SET finished_at = finished_at - $2::interval WHERE id = $1", u.ID, ago)
	r.Exec("UPDATE track_discards SET discarded_at = discarded_at - $2::interval WHERE storage_key = $1", u.Key, ago)
	return u
}

// An upload that S3 took after its ticket's end is stored, by its event and by complete, and the
// note of its removal goes with that.
func TestBytesThatLandLateAreStored(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, backend := range []string{track.S3, track.Local} {
		for way, confirm := range map[string]func(track.Upload){
			"event": func(u track.Upload) { r.handle(sqsEvent(s3Event(r.bucketOf(u), u.Key))) },
			"complete": func(u track.Upload) {
				if _, err := r.Confirm(t.Context(), u.ID); err != nil {
					t.Error(err)
				}
			},
		} {
			u := r.expired(track.ID{}, backend, wav(1), 7*24*time.Hour-time.Second)
			confirm(u) // nothing is there yet
			if got := r.state(u); got != "expired" {
				t.Errorf("%s, %s: %s before its bytes", backend, way, got)
			}
			r.send(u, wav(1))
			confirm(u)
			confirm(u)
			if got, row := r.state(u), r.track(u.TrackID); got != "stored" || row.Status != "ready" || row.Version != 2 {
				t.Errorf("%s, %s: %s, %+v", backend, way, got, row)
			}
			if why := r.discards()[u.Key]; why != "" {
				t.Errorf("%s, %s: its bytes are still to go: %s", backend, way, why)
			}
		}
	}
}

// An upload whose ticket is over is expired as soon as it is, also before a sweep notes it.
func TestAnUploadIsExpiredWhenItsTicketIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	r.Exec("UPDATE track_uploads SET created_at = created_at - interval '1 day', expires_at = now() WHERE id = $1", u.ID)
	if got := r.state(u); got != "expired" {
		t.Errorf("%s", got)
	}
	r.send(u, wav(1))
	if r.handle(s3Event(r.Bucket.Name, u.Key)); r.state(u) != "stored" {
		t.Errorf("%s", r.state(u))
	}
}

// What its owner gave up, what another file has overtaken, what is about to be removed, and what
// is of a deleted track stays as it is.
func TestWhatIsGivenUpForGoodStaysSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	aborted := r.expired(track.ID{}, track.S3, wav(1), time.Hour)
	if got, err := r.Store.AbortUpload(t.Context(), stores.Owner, aborted.ID); err != nil || got.State != track.UploadAborted {
		t.Fatalf("%+v, %v", got, err)
	}
	overtaken := r.expired(track.ID{}, track.S3, wav(2), time.Hour)
	newer := r.ticket(overtaken.TrackID, track.S3, wav(3))
	r.send(newer, wav(3))
	r.handle(s3Event(r.Bucket.Name, newer.Key))
	marked := r.expired(track.ID{}, track.S3, wav(4), 8*24*time.Hour)
	r.Exec("UPDATE track_discards SET removed_at = now() WHERE storage_key = $1", marked.Key)
	deleted := r.expired(track.ID{}, track.S3, wav(5), time.Hour)
	r.Exec("UPDATE tracks SET deleted_at = now() WHERE id = $1", deleted.TrackID)

	before := r.rows()
	for want, u := range map[string]track.Upload{"aborted": aborted, "expired": overtaken, "expired ": marked, "expired  ": deleted} {
		r.send(u, wav(7))
		if failed := r.handle(sqsEvent(s3Event(r.Bucket.Name, u.Key))); failed != nil {
			t.Errorf("%s: to be tried again: %v", want, failed)
		}
		if _, err := r.Confirm(t.Context(), u.ID); err != nil {
			t.Errorf("%s: %v", want, err)
		}
	}
	for i, row := range r.rows() {
		if row != before[i] {
			t.Errorf("changed: %s\nbefore:  %s", row, before[i])
		}
	}
	if got := r.track(newer.TrackID); got.Key != newer.Key {
		t.Errorf("stale bytes won: %+v", got)
	}
}

// Of two files in one batch the later ticket's wins, whichever of them is late.
func TestALateFileBesideANewerOne(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	late := r.expired(track.ID{}, track.S3, wav(1), time.Hour)
	newer := r.ticket(late.TrackID, track.S3, wav(2))
	r.send(late, wav(1))
	r.send(newer, wav(2))
	r.handle(sqsEvent(s3Event(r.Bucket.Name, late.Key), s3Event(r.Bucket.Name, newer.Key)))
	if r.state(late) != "expired" || r.state(newer) != "stored" || r.track(late.TrackID).Key != newer.Key {
		t.Errorf("%s, %s, %+v", r.state(late), r.state(newer), r.track(late.TrackID))
	}
	// The other way round: the late one has the later ticket.
	old := r.ticket(track.ID{}, track.S3, wav(3))
	late = r.expired(old.TrackID, track.S3, wav(4), time.Hour)
	r.send(old, wav(3))
	r.send(late, wav(4))
	r.handle(sqsEvent(s3Event(r.Bucket.Name, late.Key), s3Event(r.Bucket.Name, old.Key)))
	if r.state(late) != "stored" || r.state(old) != "stored" || r.track(late.TrackID).Key != late.Key {
		t.Errorf("%s, %s, %+v", r.state(late), r.state(old), r.track(late.TrackID))
	}
}

// Late bytes that are not what was declared fail like any others, and have a grace of their own.
func TestLateBytesThatAreNoAudio(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	html := make([]byte, 8000)
	copy(html, "<!DOCTYPE html><html>")
	u := r.expired(track.ID{}, track.S3, html, 7*24*time.Hour-time.Minute)
	r.send(u, html)
	r.handle(s3Event(r.Bucket.Name, u.Key))
	if got, why := r.state(u), r.discards()[u.Key]; got != "failed not_audio" || why != "s3 rejected" {
		t.Errorf("%s, %s", got, why)
	}
}
