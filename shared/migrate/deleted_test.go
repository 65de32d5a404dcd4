package migrate_test

import (
	"testing"
	"time"

	"trackstore/shared/schema"
	"trackstore/shared/track"
)

// A track that was deleted after its move comes back with the others, so that the schema can be taken down, and is counted
// until then.
func TestRollbackOfAllCoversDeletedTracks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	kept, deleted := r.add("kept.wav", content(1, 100)), r.add("deleted.wav", content(2, 100))
	r.turn(track.ToS3)
	if _, err := runner(r.Store, r.upload()).Run(t.Context(), job()); err != nil {
		t.Fatal(err)
	}
	r.Exec("UPDATE tracks SET deleted_at = now() WHERE id = $1", deleted)
	if p, err := r.Store.Progress(t.Context()); err != nil || p.S3 != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	db := schema.Database{URL: r.URL}
	if _, err := schema.Down(t.Context(), db, schema.All); err == nil {
		t.Error("the schema went down over tracks on S3")
	}
	r.turn(track.ToLocal)
	some := job()
	if _, err := runner(r.Store, r.restore()).Run(t.Context(), some); err != nil {
		t.Fatal(err)
	}
	if p, err := r.Store.Progress(t.Context()); err != nil || p.S3 != 1 {
		t.Errorf("after a rollback of what was moved: %+v, %v", p, err)
	}
	all := job()
	all.Uploaded = true
	if _, err := runner(r.Store, r.restore()).Run(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	if p, err := r.Store.Progress(t.Context()); err != nil || p.S3 != 0 || p.Local != 1 {
		t.Errorf("after a rollback of all: %+v, %v", p, err)
	}
	r.holds(kept, track.Local, content(1, 100))
	if _, err := schema.Down(t.Context(), db, schema.All); err != nil {
		t.Error(err)
	}
}

// Files of tracks that were deleted before trackstore came have their grace from then on.
func TestGraceCountsFromAdoption(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("old.wav", content(1, 100))
	r.Exec("UPDATE tracks SET deleted_at = now() - interval '1 year'")
	const grace = time.Hour
	look := func() int {
		t.Helper()
		left, _, err := r.Store.DeletedBytes(t.Context(), grace, "", 10)
		if err != nil {
			t.Fatal(err)
		}
		return len(left)
	}
	r.Exec("UPDATE trackstore_adoption SET adopted_at = now()")
	if n := look(); n != 0 {
		t.Errorf("%d names to remove at once", n)
	}
	if use, err := r.Store.InUse(t.Context(), []track.DoomedFile{{Names: []string{"old.wav"}}, {Names: []string{"no.wav"}}}, grace); err != nil || !use[0] || use[1] {
		t.Errorf("in use: %v, %v", use, err)
	}
	r.Exec("UPDATE trackstore_adoption SET adopted_at = now() - $1::interval", grace)
	if n := look(); n != 5 {
		t.Errorf("%d names after the grace", n)
	}
}
