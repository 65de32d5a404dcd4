package migrate_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// A file that is written still is left until it has rested, and moved whole. One that comes late,
// when new ones come all the time, is for the next run.
func TestAFileThatIsBeingWritten(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := r.add("growing.wav", content(1, 100))
	path := filepath.Join(r.Root, "growing.wav")
	for range 3 { // before the first look, so that it is no edit
		appendTo(path, content(2, 100))
	}
	go func() {
		for range 5 {
			appendTo(path, content(2, 100))
			time.Sleep(100 * time.Millisecond)
		}
	}()
	upload := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: r.S3, Large: r.S3, Sniff: noSniff, Rest: time.Second})
	if s, _ := r.run(upload, job()); s.Migrated != 1 {
		t.Errorf("%+v", s)
	}
	whole, err := os.ReadFile(path)
	must(t, err)
	if len(whole) != 900 {
		t.Errorf("the file has %d bytes", len(whole))
	}
	r.holds(id, track.S3, whole)
}

// A local copy that was changed after its track was moved is neither used nor passed over: which of
// the two is the track is for the operator to say.
func TestACopyThatWasChangedSince(t *testing.T) {
	t.Parallel()
	for _, prefer := range []migrate.Prefer{migrate.PreferNone, migrate.PreferDisk, migrate.PreferS3} {
		t.Run(string(prefer), func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			old := content(1, 100)
			id := r.add("x.wav", old)
			r.run(r.upload(), job())
			path := filepath.Join(r.Root, "x.wav")
			appendTo(path, content(2, 100))
			later := time.Now().Add(time.Minute) // whatever clocks say
			must(t, os.Chtimes(path, later, later))
			now, err := os.ReadFile(path)
			must(t, err)
			r.turn(track.ToLocal)
			_, seen := r.run(migrate.NewRestore(migrate.Restore{Disk: r.Disk, Bucket: r.S3, Prefer: prefer}), job())
			switch prefer {
			case migrate.PreferNone:
				r.holds(id, track.S3, old)
				got := seen.all[id]
				if got.Result.State() != track.Mismatch || !strings.Contains(got.Err().Error(), "x.wav") || !strings.Contains(got.Err().Error(), "tracks/") {
					t.Errorf("%+v", got)
				}
			case migrate.PreferDisk:
				r.holds(id, track.Local, now)
			case migrate.PreferS3:
				r.holds(id, track.Local, old)
			}
		})
	}
}
