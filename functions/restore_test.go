package functions_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

// TestRestoredDatabaseLosesNoTrack goes the way of docs/operations.md: the database is put back to an earlier moment,
// while disk and S3 stay as they are. Every track that the rows then know has its bytes, those of that moment; what was
// under way is finished; and what came later is found by an audit.
func TestRestoredDatabaseLosesNoTrack(t *testing.T) {
	t.Parallel()
	p := &programs{dir: t.TempDir()}
	w := newWorld(t, testenv.Postgres(t))
	f := newFleet(t, p, w)

	// Before the moment: three tracks on disk, one on S3, and a ticket that is still open.
	moved, replaced, deleted := f.addLocal("moved.flac", 1), f.addLocal("replaced.flac", 2), f.addLocal("deleted.flac", 3)
	stored := f.send(f.open(""), 4)
	open := f.open("")

	restored := f.snapshot()

	// The hours that the database will forget.
	f.send(open, 5)
	f.send(f.open(replaced), 20)
	f.send(f.open(stored), 40)
	late := f.open("")
	f.send(late, 6)
	f.client.call(204, "DELETE", "/v1/tracks/"+deleted, f.bearer, "")
	f.run(f.migrate, `{}`)
	f.run(f.sweep, `{}`)
	if got := w.query("SELECT count(*) FROM tracks WHERE storage_backend = 's3'"); got != "5" { // all but the deleted one
		t.Fatalf("%s tracks are on S3", got)
	}

	// The database as it was, and all else as it is.
	after := *w
	after.url, after.db = restored, nil
	var err error
	if after.db, err = pgxpool.New(t.Context(), restored); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(after.db.Close)
	g := newFleet(t, p, &after)
	audit := g.audit()
	if strings.Contains(audit, "row_without_bytes") || !strings.Contains(audit, late.upload) {
		t.Errorf("the audit says:\n%s", audit)
	}
	after.exec(`UPDATE track_uploads SET expires_at = now() WHERE state = 'pending'`) // by the time of a restore it is overdue
	g.run(g.sweep, `{}`)
	g.run(g.migrate, `{}`)
	for id, seed := range map[string]int64{moved: 1, replaced: 2, deleted: 3, stored: 4, open.track: 5} {
		g.holds(id, seed)
	}
	if got := after.query("SELECT count(*) FROM tracks WHERE storage_backend = 's3' AND status = 'ready'"); got != "5" {
		t.Errorf("%s tracks are on S3 and ready", got)
	}
	if audit := g.audit(); strings.Contains(audit, "row_without_bytes") {
		t.Errorf("the audit says:\n%s", audit)
	}
}

// fleet are the functions of a world, and a user of it.
type fleet struct {
	*world
	client                 *apiClient
	ingest, migrate, sweep *service
	user                   track.ID
	bearer                 map[string]string
}

func newFleet(t *testing.T, p *programs, w *world) *fleet {
	t.Helper()
	user, err := track.ParseID(creator)
	if err != nil {
		t.Fatal(err)
	}
	token, err := auth.Sign(config.Auth{Secret: config.NewSecret(secret)}, user, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return &fleet{
		world: w, client: &apiClient{t: t, api: p.serve(t, "presign-upload", w.env()...)},
		ingest: p.serve(t, "object-created", w.env()...), migrate: p.serve(t, "migrate-batch", w.env()...), sweep: p.serve(t, "sweep-uploads", w.env()...),
		user: user, bearer: map[string]string{"authorization": "Bearer " + token, "content-type": "application/json"},
	}
}

// addLocal makes a track with a file on disk.
func (f *fleet) addLocal(name string, seed int64) string {
	f.t.Helper()
	if err := os.WriteFile(filepath.Join(f.disk, name), audiotest.FLAC(1, seed), 0o644); err != nil {
		f.t.Fatal(err)
	}
	id := track.NewID()
	f.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $2, 'x', $3)`, id, f.user, name)
	return id.String()
}

// ticket is an open upload.
type ticket struct {
	upload, track, url string
	headers            map[string]any
}

// open opens an upload of a FLAC file, for a new track or for a new file of one.
func (f *fleet) open(trackID string) ticket {
	f.t.Helper()
	what := `"title":"x"`
	if trackID != "" {
		what = fmt.Sprintf(`"track_id":%q`, trackID)
	}
	opened := f.client.call(201, "POST", "/v1/uploads", f.bearer,
		fmt.Sprintf(`{%s,"filename":"x.flac","content_type":"audio/flac","size":%d}`, what, len(audiotest.FLAC(1, 0))))
	put := opened["put"].(map[string]any)
	return ticket{opened["upload_id"].(string), opened["track_id"].(string), put["url"].(string), put["headers"].(map[string]any)}
}

// send sends the file of a ticket, and S3's event about it; it returns the track.
func (f *fleet) send(k ticket, seed int64) string {
	f.t.Helper()
	f.client.put(k.url, k.headers, audiotest.FLAC(1, seed))
	f.run(f.ingest, fmt.Sprintf(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":"uploads/%s/%s.flac"}}}]}`,
		f.bucket.Name, k.track, k.upload))
	return k.track
}

func (f *fleet) run(function *service, event string) {
	f.t.Helper()
	if got := function.invoke([]byte(event), 30*time.Second); got.failed {
		f.t.Fatal(got.body)
	}
}

// snapshot copies the database as it is now, and returns the copy's URL.
func (f *fleet) snapshot() string {
	f.t.Helper()
	for _, function := range []*service{f.client.api, f.ingest, f.migrate, f.sweep} {
		function.kill() // a database that is in use cannot be copied
	}
	f.db.Reset()
	u, err := url.Parse(f.url)
	if err != nil {
		f.t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	u.Path = "/postgres"
	admin, err := pgx.Connect(f.t.Context(), u.String())
	if err != nil {
		f.t.Fatal(err)
	}
	if _, err := admin.Exec(f.t.Context(), "CREATE DATABASE "+name+"_restored TEMPLATE "+name); err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		defer admin.Close(context.Background())
		if _, err := admin.Exec(context.Background(), "DROP DATABASE "+name+"_restored WITH (FORCE)"); err != nil {
			f.t.Error(err)
		}
	})
	u.Path = "/" + name + "_restored"
	return u.String()
}

// holds checks that a track's row names the bytes of a seed.
func (f *fleet) holds(id string, seed int64) {
	f.t.Helper()
	var key, version string
	err := f.db.QueryRow(f.t.Context(), `SELECT storage_key, coalesce(storage_version_id, '') FROM tracks WHERE id = $1 AND storage_backend = 's3' AND deleted_at IS NULL`, id).Scan(&key, &version)
	if err != nil {
		f.t.Errorf("track %s: %v", id, err)
		return
	}
	input := &s3.GetObjectInput{Bucket: &f.bucket.Name, Key: &key}
	if version != "" {
		input.VersionId = &version
	}
	got, err := f.bucket.Client().GetObject(f.t.Context(), input)
	if err != nil {
		f.t.Errorf("track %s: %v", id, err)
		return
	}
	if content, err := io.ReadAll(got.Body); err != nil || !bytes.Equal(content, audiotest.FLAC(1, seed)) {
		f.t.Errorf("track %s has other bytes, %v", id, err)
	}
}

// audit runs the command, for which nothing is too young.
func (f *fleet) audit() string {
	f.t.Helper()
	command := exec.Command("go", "run", "../cmd/trackstore", "migrate-storage", "audit", "--json")
	command.Env = append(os.Environ(), f.env()...)
	command.Env = append(command.Env, "STORAGE_GRACE=1ms")
	out, err := command.Output()
	if err != nil && len(out) == 0 {
		f.t.Fatal(err)
	}
	return string(out)
}
