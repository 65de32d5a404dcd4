// Package stores gives tests of the capabilities the real stores that these stand on.
package stores

import (
	"bytes"
	"context"
	"net/url"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/minio/crc64nvme"

	"trackstore/internal/storetest"
	"trackstore/internal/testenv"
	"trackstore/shared/diskstore"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// Set is a database, a bucket and a folder of a test's own, with the stores over them.
type Set struct {
	T      testing.TB
	URL    string        // of the database
	DB     *pgxpool.Pool // behind the stores' backs
	Store  *pgstore.Store
	Bucket testenv.Bucket
	S3     *s3store.Store
	Root   string
	Disk   *diskstore.Store
}

// New returns a Set that is cleared away when the test ends.
func New(t testing.TB) Set {
	t.Helper()
	s := Set{T: t, URL: testenv.Postgres(t), Bucket: testenv.S3(t), Root: t.TempDir()}
	s.S3 = OpenS3(t, s.Bucket)
	var err error
	if s.Store, err = pgstore.Open(t.Context(), s.URL, 16); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Store.Close)
	if s.DB, err = pgxpool.New(t.Context(), s.URL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.DB.Close)
	if s.Disk, err = diskstore.New(diskstore.Config{Root: s.Root}); err != nil {
		t.Fatal(err)
	}
	return s
}

// OpenAs returns another store over the same database, whose connections take on a role that
// may read and write every table, and that row level security holds for.
func (s Set) OpenAs(role string) *pgstore.Store {
	s.T.Helper()
	s.Exec(`DO $$ BEGIN CREATE ROLE ` + role + `; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$`)
	s.Exec("GRANT ALL ON ALL TABLES IN SCHEMA public TO " + role)
	s.Exec("GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO " + role)
	at, err := url.Parse(s.URL)
	if err != nil {
		s.T.Fatal(err)
	}
	query := at.Query()
	query.Set("role", role)
	at.RawQuery = query.Encode()
	store, err := pgstore.Open(s.T.Context(), at.String(), 16)
	if err != nil {
		s.T.Fatal(err)
	}
	s.T.Cleanup(store.Close)
	return store
}

// OpenS3 returns the store over a bucket, which is asked to prove itself where prove is given.
func OpenS3(t testing.TB, bucket testenv.Bucket, prove ...func(context.Context) error) *s3store.Store {
	t.Helper()
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s3store.Config{
		Bucket: bucket.Name, Region: bucket.Region, Endpoint: endpoint, ForcePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(bucket.AccessKey, bucket.SecretKey, ""),
	}
	if len(prove) > 0 {
		cfg.Prove = prove[0]
	}
	store, err := s3store.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// Owner owns the tracks of all tickets.
var Owner = track.NewID()

// Ticket opens an upload of a WAV file for a track, a new one where trackID is zero.
func (s Set) Ticket(trackID track.ID, backend string, change ...func(*track.Ticket)) track.Upload {
	s.T.Helper()
	u, err := s.TryTicket(trackID, backend, change...)
	if err != nil {
		s.T.Fatal(err)
	}
	return u
}

// TryTicket is Ticket where the track may be gone.
func (s Set) TryTicket(trackID track.ID, backend string, change ...func(*track.Ticket)) (track.Upload, error) {
	t := track.Ticket{Life: time.Hour, MaxPending: 10_000}
	t.ID, t.TrackID, t.UserID = track.NewID(), trackID, Owner
	t.Method, t.Backend, t.MaxSize, t.Format, t.ContentType = track.MethodPut, backend, 1<<30, track.WAV, track.WAV.ContentType()
	if trackID.IsZero() {
		t.TrackID, t.Title = track.NewID(), "Nocturne"
	}
	t.Key = track.UploadKey(t.TrackID, t.ID, "x.wav")
	for _, f := range change {
		f(&t)
	}
	return s.Store.OpenUpload(s.T.Context(), t)
}

// Backend returns a backend by its name.
func (s Set) Backend(name string) storetest.Backend {
	if name == track.S3 {
		return s.S3
	}
	return s.Disk
}

// Put stores a WAV file under a key that is free.
func (s Set) Put(backend, key string, file []byte) {
	s.T.Helper()
	sum := crc64nvme.New()
	sum.Write(file)
	spec := track.ObjectSpec{
		Key: key, ContentType: track.WAV.ContentType(), Digest: track.Digest{Size: int64(len(file)), CRC64NVME: sum.Sum64()},
	}
	if _, err := s.Backend(backend).Create(s.T.Context(), spec, bytes.NewReader(file)); err != nil {
		s.T.Fatal(err)
	}
}

// Track enters a track of Owner's: on S3 where key is not empty, else with a file on disk.
func (s Set) Track(key, path string) track.ID {
	s.T.Helper()
	id := track.NewID()
	s.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
		VALUES ($1, $2, 'x', $3, CASE WHEN $4 = '' THEN 'local' ELSE 's3' END, nullif($4, ''))`, id, Owner, path, key)
	return id
}

// Exec runs a statement.
func (s Set) Exec(sql string, args ...any) {
	s.T.Helper()
	if _, err := s.DB.Exec(s.T.Context(), sql, args...); err != nil {
		s.T.Fatal(err)
	}
}
