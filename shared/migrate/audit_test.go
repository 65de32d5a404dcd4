package migrate_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// A file keeps its grace after its track gave it up, by whatever path the row named it.
func TestAuditKnowsTheGraceOfOddPaths(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("real.wav", []byte("x"))
	must(t, os.Symlink("real.wav", filepath.Join(r.Root, "link.wav")))
	r.add("./moved.wav", []byte("x"))
	r.run(r.upload(), job())
	r.add("plain.wav", []byte("x"))
	r.add("./deleted.wav", []byte("x"))
	r.insert("link.wav")
	r.Exec(`UPDATE tracks SET deleted_at = now()`)
	r.write("replaced.wav", []byte("x"))
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason) VALUES ($1, 'local', './/replaced.wav', 'replaced')`, track.NewID())
	old := time.Now().Add(-24 * time.Hour)
	for _, path := range []string{"real.wav", "moved.wav", "plain.wav", "deleted.wav", "replaced.wav"} {
		must(t, os.Chtimes(filepath.Join(r.Root, path), old, old))
	}
	a, err := migrate.Auditor{Uses: r.Store, Files: r.Disk, Bucket: r.S3, Found: func(f migrate.Finding) { t.Errorf("%+v", f) }}.Audit(t.Context(), time.Hour)
	if err != nil || a.Files != 5 || a.WithinGrace != 6 {
		t.Errorf("%+v, %v", a, err)
	}
	// Once the grace is over, they are named.
	r.Exec(`UPDATE tracks SET deleted_at = now() - interval '2 hours'`)
	r.Exec(`UPDATE track_discards SET discarded_at = now() - interval '2 hours'`)
	a, err = migrate.Auditor{Uses: r.Store, Files: r.Disk, Bucket: r.S3, Found: func(migrate.Finding) {}}.Audit(t.Context(), time.Hour)
	if err != nil || a.Findings != 6 {
		t.Errorf("%+v, %v", a, err)
	}
}
