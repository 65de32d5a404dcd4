package sweep_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/crc64nvme"

	"trackstore/shared/audiotest"
	"trackstore/shared/diskstore"
	"trackstore/shared/ingest"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/storetest"
	"trackstore/shared/sweep"
	"trackstore/shared/testenv"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	grace     = 7 * 24 * time.Hour
	uploadTTL = 24 * time.Hour
)

// rig is a Sweeper over a database, a bucket and a folder of the test's own.
type rig struct {
	t      testing.TB
	db     *pgxpool.Pool // behind the code's back
	store  *pgstore.Store
	s3     *s3store.Store
	disk   *diskstore.Store
	root   string
	config sweep.Config
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, root: filepath.Join(t.TempDir(), "disk")}
	bucket, dsn := testenv.S3(t), testenv.Postgres(t)
	var err error
	if r.store, err = pgstore.Open(t.Context(), dsn, 8); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.store.Close)
	if r.db, err = pgxpool.New(t.Context(), dsn); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.db.Close)
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	if r.s3, err = s3store.New(s3store.Config{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: endpoint, ForcePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(bucket.AccessKey, bucket.SecretKey, ""),
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(r.root, 0o755); err != nil {
		t.Fatal(err)
	}
	if r.disk, err = diskstore.New(diskstore.Config{Root: r.root}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r.config = sweep.Config{
		Store: r.store,
		Confirm: ingest.New(ingest.Config{
			Uploads: r.store, Backends: map[string]ingest.Backend{track.S3: r.s3, track.Local: r.disk}, Log: log,
		}),
		Backends: map[string]sweep.Backend{track.S3: r.s3, track.Local: r.disk},
		Paths:    r.disk, Grace: grace, UploadTTL: uploadTTL, Log: log,
	}
	return r
}

// sweep sweeps, and fails the test where a step failed.
func (r *rig) sweep() sweep.Counts {
	r.t.Helper()
	counts, err := sweep.New(r.config).Run(r.t.Context(), sweep.Options{})
	if err != nil || !counts.Done {
		r.t.Fatalf("%+v, %v", counts, err)
	}
	return counts
}

// dryRun returns what a sweep would do, as "do backend key", in order.
func (r *rig) dryRun() []string {
	r.t.Helper()
	var would []string
	_, err := sweep.New(r.config).Run(r.t.Context(), sweep.Options{DryRun: true, Report: func(a sweep.Action) {
		would = append(would, a.Do+" "+a.Backend+" "+a.Key)
	}})
	if err != nil {
		r.t.Fatal(err)
	}
	slices.Sort(would)
	return would
}

func (r *rig) backend(name string) storetest.Backend {
	if name == track.S3 {
		return r.s3
	}
	return r.disk
}

// ticket opens an upload for a track, a new one where trackID is zero.
func (r *rig) ticket(trackID track.ID, backend string, change ...func(*track.Ticket)) track.Upload {
	r.t.Helper()
	t := track.Ticket{Life: time.Hour, MaxPending: 10_000}
	t.ID, t.TrackID, t.UserID = track.NewID(), trackID, owner
	t.Method, t.Backend, t.MaxSize, t.Format, t.ContentType = track.MethodPut, backend, 1<<30, track.WAV, "audio/wav"
	if trackID.IsZero() {
		t.TrackID, t.Title = track.NewID(), "Nocturne"
	}
	t.Key = track.UploadKey(t.TrackID, t.ID, "x.wav")
	for _, f := range change {
		f(&t)
	}
	u, err := r.store.OpenUpload(r.t.Context(), t)
	if err != nil {
		r.t.Fatal(err)
	}
	return u
}

var owner = track.NewID()

var wav = audiotest.WAV(1, 1)[:8000]

// put stores bytes under a key.
func (r *rig) put(backend, key string) {
	r.t.Helper()
	h := crc64nvme.New()
	h.Write(wav)
	if _, err := r.backend(backend).Create(r.t.Context(), key, "audio/wav", h.Sum64(), bytes.NewReader(wav), int64(len(wav))); err != nil {
		r.t.Fatal(err)
	}
}

// has reports whether a backend holds a key.
func (r *rig) has(backend, key string) bool {
	r.t.Helper()
	_, err := r.backend(backend).Head(context.Background(), key, "")
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		r.t.Fatal(err)
	}
	return err == nil
}

func (r *rig) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.db.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// query returns one value as text.
func (r *rig) query(sql string, args ...any) string {
	r.t.Helper()
	var text *string
	if err := r.db.QueryRow(r.t.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		r.t.Fatal(err)
	}
	if text == nil {
		return "none"
	}
	return *text
}

func (r *rig) state(u track.Upload) string {
	return r.query("SELECT state FROM track_uploads WHERE id = $1", u.ID)
}

func (r *rig) isGone(backend, key string) bool {
	return r.query("SELECT bool_or(gone_at IS NOT NULL) FROM track_discards WHERE backend = $1 AND storage_key = $2", backend, key) == "true"
}

// discard notes bytes, as given up so long ago.
func (r *rig) discard(trackID track.ID, backend, key string, ago time.Duration) {
	r.exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at)
		VALUES ($1, $2, $3, 'replaced', now() - $4::interval)`, trackID, backend, key, ago)
}

// track enters a track: on S3 where key is not empty.
func (r *rig) track(key, path string) track.ID {
	id := track.NewID()
	r.exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
		VALUES ($1, $2, 'x', $3, CASE WHEN $4 = '' THEN 'local' ELSE 's3' END, nullif($4, ''))`, id, owner, path, key)
	return id
}
