package migrate_test

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"trackstore/shared/diskstore"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// busyDisk is out of files to open, now and then, where a rollback has put one.
type busyDisk struct {
	*diskstore.Store
	left atomic.Int32
}

func (d *busyDisk) OpenFile(path string) (track.File, error) {
	if strings.HasPrefix(path, track.RestoredPrefix) && d.left.Add(-1) >= 0 {
		return nil, fmt.Errorf("%w: too many open files", track.ErrUnavailable)
	}
	return d.Store.OpenFile(path)
}

// A file that a rollback left when it was killed is used by the next, and one that cannot be
// opened for a moment is no mismatch.
func TestAFileThatAKilledRollbackLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	c := content(1, 1000)
	id := r.add("a.wav", c)
	r.run(r.upload(), job())
	r.remove("a.wav")
	r.turn(track.ToLocal)
	left := track.RestoredPath(id, 1, "a.wav")
	must(t, r.Disk.CreateFile(left, func(f *os.File) error { _, err := f.Write(c); return err }))

	disk := &busyDisk{Store: r.Disk}
	disk.left.Store(2)
	s, seen := r.run(migrate.NewRestore(migrate.Restore{Disk: disk, Bucket: r.S3}), job())
	if s.Migrated != 1 || seen.all[id].Result.(track.NewFile).Path != left || seen.all[id].Attempts != 3 {
		t.Errorf("%+v, %+v", s, seen.all[id])
	}
	r.holds(id, track.Local, c)
}
