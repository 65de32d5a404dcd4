package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/audio"
	"trackstore/shared/migrate"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig is a test, and the stores that tracks move between.
type rig struct {
	testing.TB
	stores.Set
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{t, stores.New(t)}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// openS3 returns the bucket, reached at endpoint.
func (r *rig) openS3(endpoint string) *s3store.Store {
	r.Helper()
	bucket := r.Bucket
	bucket.Endpoint = endpoint
	return stores.OpenS3(r, bucket)
}

// write puts a file on disk, by its path under the root.
func (r *rig) write(path string, content []byte) {
	r.Helper()
	abs := filepath.Join(r.Root, path)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(abs, content, 0o644); err != nil {
		r.Fatal(err)
	}
	r.age(abs)
}

// age makes a file one that has rested.
func (r *rig) age(abs string) {
	r.Helper()
	old := time.Now().Add(-time.Hour)
	if err := os.Chtimes(abs, old, old); err != nil {
		r.Fatal(err)
	}
}

// insert makes a row of a local track, whose file may be anything.
func (r *rig) insert(filePath string) track.ID {
	r.Helper()
	id := track.NewID()
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, id, filePath)
	return id
}

// add makes a local track with a file.
func (r *rig) add(path string, content []byte) track.ID {
	r.Helper()
	r.write(path, content)
	return r.insert(path)
}

func (r *rig) one(sql string, args ...any) string {
	r.Helper()
	var s string
	if err := r.DB.QueryRow(r.Context(), sql, args...).Scan(&s); err != nil {
		r.Fatal(err)
	}
	return s
}

func (r *rig) upload() *migrate.Upload {
	return migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: r.S3, Large: r.S3, Sniff: audio.Detect, Rest: 50 * time.Millisecond})
}

func (r *rig) restore() *migrate.Restore {
	return migrate.NewRestore(migrate.Restore{Disk: r.Disk, Bucket: r.S3})
}

// turn sets the direction in which tracks move from now on.
func (r *rig) turn(d track.Direction) {
	r.Helper()
	if err := r.Store.SetDirection(r.Context(), d); err != nil {
		r.Fatal(err)
	}
}

// job is what a test's run does unless it says otherwise.
func job() migrate.Job {
	j := migrate.NewJob(3 * time.Second)
	j.Finish, j.Backoff = time.Second, 5*time.Millisecond
	return j
}

func (r *rig) run(mover migrate.Mover, job migrate.Job) (migrate.Summary, *results) {
	r.Helper()
	seen := &results{all: map[track.ID]migrate.Settlement{}}
	summary, err := migrate.Runner{Ledger: r.Store, Mover: mover, Observer: seen, Log: quiet}.Run(r.Context(), job)
	if err != nil {
		r.Fatal(err)
	}
	return summary, seen
}

// runner is for runs whose end alone is of interest.
func runner(ledger migrate.Ledger, mover migrate.Mover) migrate.Runner {
	return migrate.Runner{Ledger: ledger, Mover: mover, Observer: &results{all: map[track.ID]migrate.Settlement{}}, Log: quiet}
}

// results keeps what a run reports.
type results struct {
	mu      sync.Mutex
	all     map[track.ID]migrate.Settlement
	claimed int
}

func (s *results) Claimed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed += n
}

func (s *results) Waiting(int64) {}

func (s *results) Settled(r migrate.Settlement) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[r.TrackID] = r
}

// bytesOf reads the bytes that a track's row names now.
func (r *rig) bytesOf(id track.ID) ([]byte, error) {
	ctx := context.WithoutCancel(r.Context())
	var backend, path, key, version string
	err := r.DB.QueryRow(ctx, `SELECT storage_backend, coalesce(file_path, ''), coalesce(storage_key, ''),
		coalesce(storage_version_id, '') FROM tracks WHERE id = $1`, id).Scan(&backend, &path, &key, &version)
	if err != nil {
		return nil, err
	}
	if backend == track.S3 {
		body, err := r.S3.Open(ctx, key, version, 0, -1)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Root, path)
	}
	return os.ReadFile(path)
}

// holds checks that a track is where it should be, and that its bytes are those.
func (r *rig) holds(id track.ID, backend string, content []byte) {
	r.Helper()
	if got := r.one(`SELECT storage_backend FROM tracks WHERE id = $1`, id); got != backend {
		r.Errorf("track %s is on %s, not on %s", id, got, backend)
	}
	got, err := r.bytesOf(id)
	if err != nil {
		r.Errorf("track %s: %v", id, err)
	} else if !bytes.Equal(got, content) {
		r.Errorf("track %s has %d other bytes than the %d it should have", id, len(got), len(content))
	}
}

// settled checks that nothing is left leased.
func (r *rig) settled() {
	r.Helper()
	if n := r.one(`SELECT count(*)::text FROM track_migrations WHERE state = 'leased'`); n != "0" {
		r.Errorf("%s leases are left", n)
	}
}

// content makes n bytes that differ by seed.
func content(seed, n int) []byte {
	b := bytes.Repeat([]byte(fmt.Sprintf("%08x", seed*2654435761)), n/8+1)[:n]
	return b
}

// remove takes a file away, by its path under the root.
func (r *rig) remove(path string) {
	r.Helper()
	if err := os.Remove(filepath.Join(r.Root, path)); err != nil {
		r.Fatal(err)
	}
}

func crcOf(b []byte) uint64 { return crc64nvme.Checksum(b) }
