package migrate_test

import (
	"sync/atomic"
	"testing"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// openings counts how often files are opened.
type openings struct {
	migrate.Files
	n atomic.Int64
}

func (o *openings) OpenFile(filePath string) (track.File, error) {
	o.n.Add(1)
	return o.Files.OpenFile(filePath)
}

// A plan opens each file once, also where it finds out how fast they are read.
func TestAPlanOpensEachFileOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(1500) // more than a page of the database's answer
	files := &openings{Files: r.Disk}
	e, err := migrate.Plan(t.Context(), r.Store, files, r.S3)
	if err != nil || e.Tracks != 1500 || e.Seconds <= 0 {
		t.Errorf("%+v, %v", e, err)
	}
	if n := files.n.Load(); n != 1500 {
		t.Errorf("%d files were opened for 1,500 tracks", n)
	}
}
