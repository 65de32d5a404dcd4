package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/ingest"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
	api "trackstore/shared/upload"
)

// platform is one of testdata/platforms, in a database of its own, with its files on disk. Trackstore works as a role that
// has what schema grants prints.
type platform struct {
	*testing.T
	*pgxpool.Pool
	tracks track.Table
	root   string
	bucket testenv.Bucket
	owner  []string // environments
	app    []string
	appURL string
	files  map[string][]byte
	alone  []string // roles that have one function's rights
}

// functionsAlone returns, for each function, the environment of a role that has what is printed for it and nothing else.
// The role of the API is left with presign-upload's.
func (p *platform) functionsAlone(role string) map[string][]string {
	p.Helper()
	environments := map[string][]string{}
	p.exec("DROP OWNED BY " + role)
	for i, section := range strings.Split(p.run(p.owner, 0, "schema grants --role "+role), "-- ")[1:] {
		function, _, _ := strings.Cut(section, ":")
		if function == "presign-upload" {
			p.exec("-- " + section)
			continue
		}
		other := fmt.Sprintf("%s_%d", role, i)
		p.exec("CREATE ROLE " + other + " LOGIN PASSWORD 'secret'; -- " + strings.ReplaceAll(section, role, other))
		p.alone = append(p.alone, other)
		p.Cleanup(func() {
			if _, err := p.Exec(context.Background(), "DROP OWNED BY "+other+"; DROP ROLE "+other); err != nil {
				p.Error(err)
			}
		})
		environments[function] = append(slices.Clone(p.app), "DATABASE_URL="+strings.Replace(p.appURL, role, other, 1))
	}
	return environments
}

// Ada is a user of each platform.
const ada = "11111111-1111-4111-8111-111111111111"

func newPlatform(t *testing.T, name string) *platform {
	read := func(file string) string {
		content, err := os.ReadFile(filepath.Join("../../testdata/platforms", name, file))
		if err != nil {
			t.Fatal(err)
		}
		return string(content)
	}
	p := &platform{T: t, root: t.TempDir(), bucket: testenv.S3(t), files: map[string][]byte{}}
	var err error
	if p.tracks, err = track.ParseTable(read("table")); err != nil {
		t.Fatal(err)
	}
	database := testenv.EmptyPostgres(t)
	if p.Pool, err = pgxpool.New(t.Context(), database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	p.exec(read("schema.sql"))

	role := "app_" + strings.ToLower(rand.Text())
	p.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'")
	t.Cleanup(func() {
		if _, err := p.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	p.appURL = u.String()
	env := []string{
		"TRACKS_TABLE=" + read("table"), "TRACK_LOCAL_DIR=" + p.root, "TRACK_STORAGE_BACKEND=s3", "AWS_S3_ENABLED=true",
		"AWS_S3_BUCKET=" + p.bucket.Name, "AWS_REGION=" + p.bucket.Region, "AWS_S3_ENDPOINT=" + p.bucket.Endpoint, "AWS_S3_FORCE_PATH_STYLE=true",
		"AWS_ACCESS_KEY_ID=" + p.bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + p.bucket.SecretKey, "LOG_LEVEL=warn",
	}
	p.owner = append(slices.Clone(env), "DATABASE_URL="+database)
	p.app = append(slices.Clone(env), "DATABASE_URL="+p.appURL)

	p.run(p.owner, 2, "schema check") // each has something to mend
	p.exec(read("mend.sql"))
	p.run(p.owner, 0, "schema check")

	rows, err := p.Query(t.Context(), "SELECT file_path FROM "+p.tracks.String())
	if err != nil {
		t.Fatal(err)
	}
	paths, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		p.files[path] = audiotest.WAV(1, int64(i))
		if err := os.MkdirAll(filepath.Dir(filepath.Join(p.root, path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(p.root, path), p.files[path], 0o644); err != nil {
			t.Fatal(err)
		}
	}
	old := time.Now().Add(-time.Hour)
	for path := range p.files {
		if err := os.Chtimes(filepath.Join(p.root, path), old, old); err != nil { // it has rested
			t.Fatal(err)
		}
	}
	p.run(p.owner, 1, "schema grants --role "+role) // not before it is up
	return p
}

func (p *platform) exec(sql string) {
	p.Helper()
	if _, err := p.Exec(p.Context(), sql); err != nil {
		p.Fatal(err)
	}
}

func (p *platform) query(sql string) (answer string) {
	p.Helper()
	if err := p.QueryRow(p.Context(), "SELECT ("+sql+")::text").Scan(&answer); err != nil {
		p.Fatal(err)
	}
	return answer
}

func (p *platform) run(env []string, code int, args string) string {
	p.Helper()
	cmd := command(p.T, env, strings.Fields(args)...)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != code {
		p.Fatalf("%s: %v, want exit code %d\n%s", args, err, code, out)
	}
	return string(out)
}

func (p *platform) dump() string {
	p.Helper()
	out, err := exec.CommandContext(p.Context(), "pg_dump", "--schema-only", "--no-privileges", "--dbname", p.Config().ConnString()).Output()
	if err != nil {
		p.Fatal(err)
	}
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `\restrict`) || strings.HasPrefix(line, `\unrestrict`)
	})
	return strings.Join(lines, "\n")
}

// saves writes every row back as it was read, with one more play, over and over, as an ORM's save does. It returns how
// often it did for each.
func (p *platform) saves(ctx context.Context, plays string) (rounds int, err error) {
	ctx = context.WithoutCancel(ctx)
	for ; rounds < 1 || p.stillRuns(); rounds++ {
		rows, err := p.Query(ctx, "SELECT to_jsonb(t)::text FROM "+p.tracks.String()+" t ORDER BY id")
		if err != nil {
			return rounds, err
		}
		read, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return rounds, err
		}
		time.Sleep(50 * time.Millisecond) // and meanwhile a flip
		for _, row := range read {
			columns := p.columns()
			_, err := p.Exec(ctx, fmt.Sprintf(`UPDATE %s t SET (%s) = (SELECT %s FROM jsonb_populate_record(NULL::%s, $1::jsonb)), %s = t.%s + 1
				WHERE id = ($1::jsonb ->> 'id')::uuid`, p.tracks, columns, columns, p.tracks, plays, plays), row)
			if err != nil {
				return rounds, err
			}
		}
	}
	return rounds, nil
}

func (p *platform) stillRuns() bool {
	var local int
	err := p.QueryRow(context.Background(), "SELECT count(*) FROM "+p.tracks.String()+" WHERE storage_backend = 'local'").Scan(&local)
	return err == nil && local > 0
}

func (p *platform) columns() string {
	var columns string
	err := p.QueryRow(context.Background(), `SELECT string_agg(quote_ident(attname), ', ') FROM pg_attribute
		WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped AND attname NOT IN ('id', 'play_count', 'plays', 'updated_at')`, p.tracks.String()).Scan(&columns)
	if err != nil {
		p.Error(err)
	}
	return columns
}

// asUser takes the user's id from a header, as tokens are not what is tried here.
type asUser struct{}

func (asUser) UserID(r *http.Request) (track.ID, error) { return track.ParseID(r.Header.Get("User")) }

func (asUser) Listener(r *http.Request) (track.ID, bool, error) {
	user, err := track.ParseID(r.Header.Get("User"))
	return user, false, err
}

// api serves the API as the platform's role.
func (p *platform) serve() string {
	store, err := pgstore.Open(p.Context(), p.appURL, 4)
	if err != nil {
		p.Fatal(err)
	}
	p.Cleanup(store.Close)
	store.Over(p.tracks)
	bucket := stores.OpenS3(p.T, p.bucket)
	log := slog.New(slog.NewTextHandler(p.Output(), nil))
	server := httptest.NewServer(api.New(api.Config{
		Limits: api.Limits{MaxBytes: 1 << 30, SingleMaxBytes: 1 << 20, URLTTL: time.Minute, TTL: time.Hour, MaxPending: 100},
		Auth:   asUser{}, Store: store, NewFiles: track.S3,
		Confirm:  ingest.New(ingest.Config{Uploads: store, Backends: map[string]ingest.Backend{track.S3: bucket}, Log: log}),
		Backends: map[string]api.Backend{track.S3: bucket}, Log: log,
	}))
	p.Cleanup(server.Close)
	return server.URL
}

func call(t *testing.T, method, url, user, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("User", user)
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if len(text) > 0 {
		if err := json.Unmarshal(text, &answer); err != nil {
			t.Fatalf("%s: %s", err, text)
		}
	}
	return resp.StatusCode, answer
}

// upload opens an upload, sends a file and completes it, and returns the track.
func (p *platform) upload(base, body string, content []byte) string {
	p.Helper()
	code, opened := call(p.T, "POST", base+"/v1/uploads", ada, body)
	if code != 201 {
		p.Fatalf("%d: %v", code, opened)
	}
	p.put(opened["put"].(map[string]any), content)
	code, done := call(p.T, "POST", fmt.Sprintf("%s/v1/uploads/%s/complete", base, opened["upload_id"]), ada, "")
	if code != 200 || done["state"] != "stored" {
		p.Fatalf("complete: %d: %v", code, done)
	}
	return opened["track_id"].(string)
}

// put sends a file to where an upload's ticket says.
func (p *platform) put(ticket map[string]any, content []byte) {
	p.Helper()
	r, err := http.NewRequestWithContext(p.Context(), http.MethodPut, ticket["url"].(string), bytes.NewReader(content))
	if err != nil {
		p.Fatal(err)
	}
	for name, value := range ticket["headers"].(map[string]any) {
		r.Header.Set(name, value.(string))
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil || resp.StatusCode != 200 {
		p.Fatalf("PUT: %v, %v", resp, err)
	}
	resp.Body.Close()
}

// Each platform, from the first look to the last trace: adopted, uploaded to, moved while its own program saves whole rows,
// played, moved back, and left as it was.
func TestPlatformsAdopt(t *testing.T) {
	t.Parallel()
	for name, plays := range map[string]string{"go": "play_count", "django": "plays", "prisma": "plays"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newPlatform(t, name)
			before := p.dump()
			role, _, _ := strings.Cut(strings.TrimPrefix(p.appURL, "postgres://"), ":")
			p.run(p.owner, 0, "schema up")
			p.exec(p.run(p.owner, 0, "schema grants --role "+role))
			if out := p.run(p.owner, 0, "schema check --role "+role); !strings.Contains(out, ": 0 problems") {
				t.Errorf("after up:\n%s", out)
			}
			alone := p.functionsAlone(role)
			p.run(alone["migrate-batch"], 0, "migrate-storage plan")

			// New files, by a track of trackstore's and by a row of the platform's own.
			base, content := p.serve(), audiotest.WAV(1, 99)
			size := fmt.Sprintf(`"filename":"x.wav","size":%d}`, len(content))
			uploaded := p.upload(base, `{"title":"New",`+size, content)
			own := track.NewID().String()
			p.exec(fmt.Sprintf(`INSERT INTO %s (id, creator_id, title, file_path) VALUES ('%s', '%s', 'Own row', '')`, p.tracks, own, ada))
			if got := p.upload(base, `{"track_id":"`+own+`",`+size, content); got != own {
				t.Errorf("the upload is of track %s", got)
			}
			if code, answer := call(t, "POST", base+"/v1/uploads", track.NewID().String(), `{"title":"Nobody's",`+size); code != 409 || answer["code"] != "platform_refused" {
				t.Errorf("a user who is not there: %d %v", code, answer)
			}
			for _, c := range []struct{ method, path, body string }{
				{"GET", "/v1/tracks/" + uploaded, ""}, {"PATCH", "/v1/tracks/" + uploaded, `{"title":"Newer"}`}, {"GET", "/v1/uploads", ""},
				{"POST", "/v1/companion-sessions", ""}, {"GET", "/v1/tracks/" + p.query("SELECT id FROM "+p.tracks.String()+" WHERE creator_id = '"+ada+"' ORDER BY id LIMIT 1"), ""},
				{"DELETE", "/v1/tracks/" + uploaded, ""},
			} {
				if code, answer := call(t, c.method, base+c.path, ada, c.body); code >= 400 {
					t.Errorf("%s %s: %d %v", c.method, c.path, code, answer)
				}
			}

			// Old files, with the platform's own program at work.
			saved := make(chan error, 1)
			go func() {
				_, err := p.saves(t.Context(), plays)
				saved <- err
			}()
			p.run(alone["migrate-batch"], 0, "migrate-storage run")
			if err := <-saved; err != nil {
				t.Error(err)
			}
			if got := p.query("SELECT count(*) FROM " + p.tracks.String() + " WHERE storage_backend <> 's3'"); got != "0" {
				t.Errorf("%s tracks are not on S3", got)
			}
			p.run(alone["migrate-batch"], 0, "migrate-storage verify")
			p.run(alone["sweep-uploads"], 0, "sweep")

			// And back.
			p.run(p.owner, 1, "schema down --all")
			p.run(alone["migrate-batch"], 0, "migrate-storage rollback --all")
			for path, want := range p.files {
				if got, err := os.ReadFile(filepath.Join(p.root, path)); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s: %d bytes, %v", path, len(got), err)
				}
				if got := p.query(fmt.Sprintf("SELECT count(*) FROM %s WHERE file_path = '%s' AND %s > 0", p.tracks, path, plays)); got != "1" {
					t.Errorf("%s: %s rows of it, with plays", path, got)
				}
			}
			p.exec("DELETE FROM " + p.tracks.String() + " WHERE title = 'Newer'")
			for _, alone := range append(p.alone, role) {
				p.exec("REVOKE ALL ON ALL TABLES IN SCHEMA public FROM " + alone)
			}
			p.run(p.owner, 0, "schema down --all")
			if diff := cmp.Diff(before, p.dump()); diff != "" {
				t.Errorf("there and back, the schema differs: %s", diff)
			}
		})
	}
}
