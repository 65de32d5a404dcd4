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

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/crc64nvme"

	"trackstore/shared/audio"
	"trackstore/shared/diskstore"
	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/testenv"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig is a database, a bucket and a disk of a test's own.
type rig struct {
	testing.TB
	root   string
	url    string
	bucket testenv.Bucket
	sql    *pgxpool.Pool
	ledger *pgstore.Store
	s3     *s3store.Store
	disk   *diskstore.Store
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t, root: t.TempDir(), url: testenv.Postgres(t), bucket: testenv.S3(t)}
	var err error
	if r.sql, err = pgxpool.New(t.Context(), r.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.sql.Close)
	if r.ledger, err = pgstore.Open(t.Context(), r.url, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.ledger.Close)
	r.s3 = r.openS3(r.bucket.Endpoint)
	if r.disk, err = diskstore.New(diskstore.Config{Root: r.root, Logger: quiet}); err != nil {
		t.Fatal(err)
	}
	return r
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

func (r *rig) openS3(endpoint string) *s3store.Store {
	r.Helper()
	store, err := s3store.New(s3store.Config{
		Bucket: r.bucket.Name, Region: r.bucket.Region, Endpoint: mustURL(endpoint), ForcePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(r.bucket.AccessKey, r.bucket.SecretKey, ""),
	})
	if err != nil {
		r.Fatal(err)
	}
	return store
}

// write puts a file on disk, by its path under the root.
func (r *rig) write(path string, content []byte) {
	r.Helper()
	abs := filepath.Join(r.root, path)
	if err := os.MkdirAll(filepath.Dir(abs), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(abs, content, 0o644); err != nil {
		r.Fatal(err)
	}
}

// insert makes a row of a local track, whose file may be anything.
func (r *rig) insert(filePath string) track.ID {
	r.Helper()
	id := track.NewID()
	r.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, id, filePath)
	return id
}

// add makes a local track with a file.
func (r *rig) add(path string, content []byte) track.ID {
	r.Helper()
	r.write(path, content)
	return r.insert(path)
}

func (r *rig) exec(sql string, args ...any) {
	r.Helper()
	if _, err := r.sql.Exec(context.WithoutCancel(r.Context()), sql, args...); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) one(sql string, args ...any) string {
	r.Helper()
	var s string
	if err := r.sql.QueryRow(r.Context(), sql, args...).Scan(&s); err != nil {
		r.Fatal(err)
	}
	return s
}

func (r *rig) upload() *migrate.Upload {
	return migrate.NewUpload(migrate.Upload{Files: r.disk, Bucket: r.s3, Large: r.s3, Sniff: audio.Detect})
}

func (r *rig) restore() *migrate.Restore {
	return migrate.NewRestore(migrate.Restore{Disk: r.disk, Bucket: r.s3})
}

// turn sets the direction in which tracks move from now on.
func (r *rig) turn(d track.Direction) {
	r.Helper()
	if _, err := r.ledger.Turn(r.Context(), d, true); err != nil {
		r.Fatal(err)
	}
}

// job is what a test's run does unless it says otherwise.
func job() migrate.Job {
	return migrate.Job{Lease: 3 * time.Second, Finish: time.Second, Patience: -1, Backoff: 5 * time.Millisecond}
}

func (r *rig) run(mover migrate.Mover, job migrate.Job) (migrate.Summary, *results) {
	r.Helper()
	seen := &results{all: map[track.ID]migrate.Result{}}
	summary, err := migrate.Run(r.Context(), r.ledger, mover, job, seen, quiet)
	if err != nil {
		r.Fatal(err)
	}
	return summary, seen
}

// results keeps what a run reports.
type results struct {
	mu      sync.Mutex
	all     map[track.ID]migrate.Result
	claimed int
}

func (s *results) Claimed(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.claimed += n
}

func (s *results) Waiting(int64) {}

func (s *results) Settled(r migrate.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[r.TrackID] = r
}

// bytesOf reads the bytes that a track's row names now.
func (r *rig) bytesOf(id track.ID) ([]byte, error) {
	ctx := context.WithoutCancel(r.Context())
	var backend, path, key, version string
	err := r.sql.QueryRow(ctx, `SELECT storage_backend, coalesce(file_path, ''), coalesce(storage_key, ''),
		coalesce(storage_version_id, '') FROM tracks WHERE id = $1`, id).Scan(&backend, &path, &key, &version)
	if err != nil {
		return nil, err
	}
	if backend == track.S3 {
		body, err := r.s3.Open(ctx, key, version, 0, -1)
		if err != nil {
			return nil, err
		}
		defer body.Close()
		return io.ReadAll(body)
	}
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.root, path)
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
	if err := os.Remove(filepath.Join(r.root, path)); err != nil {
		r.Fatal(err)
	}
}

func crcOf(b []byte) uint64 { return crc64nvme.Checksum(b) }
