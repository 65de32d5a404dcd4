package functions_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/cfn"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/schema"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// TestFunctions runs the built functions as Lambda does, each on its own events with the rights of its own role.
func TestFunctions(t *testing.T) {
	t.Parallel()
	p := &programs{dir: t.TempDir()}
	t.Run("events", func(t *testing.T) { t.Parallel(); testEvents(t, p) })
	t.Run("deadline", func(t *testing.T) { t.Parallel(); testDeadline(t, p) })
	t.Run("error", func(t *testing.T) { t.Parallel(); testError(t, p) })
	t.Run("panic", func(t *testing.T) { t.Parallel(); testPanic(t, p) })
	t.Run("configuration", func(t *testing.T) { t.Parallel(); testConfiguration(t, p) })
	t.Run("failed migration", func(t *testing.T) { t.Parallel(); testFailedMigration(t, p) })
	t.Run("silence", func(t *testing.T) { t.Parallel(); testSilence(t, p) })
	t.Run("frozen sweep", func(t *testing.T) { t.Parallel(); testFrozenSweep(t, p) })
	t.Run("delivery", func(t *testing.T) { t.Parallel(); testDelivery(t, p) })
	t.Run("no bucket", func(t *testing.T) { t.Parallel(); testNoBucket(t, p) })
}

// world is what a function finds: a database, a bucket and a disk of the test's own.
type world struct {
	t      testing.TB
	db     *pgxpool.Pool
	url    string // of the database
	bucket testenv.Bucket
	disk   string
	cloud  *cloudFormation
}

// The ids in events/.
const (
	eventTrack  = "0195d2f0-0000-7000-8000-000000000001"
	eventUpload = "0195d2f0-0000-7000-8000-00000000000a"
	eventKey    = "uploads/" + eventTrack + "/" + eventUpload + ".flac"
	secret      = "0123456789abcdef0123456789abcdef"
	creator     = "0195d2f0-0000-7000-8000-0000000000ff"
)

func newWorld(t testing.TB, database string) *world {
	t.Helper()
	w := &world{t: t, url: database, bucket: testenv.S3(t), disk: t.TempDir(), cloud: newCloudFormation(t)}
	var err error
	if w.db, err = pgxpool.New(t.Context(), w.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.db.Close)
	return w
}

func (w *world) env() []string {
	return []string{
		"APP_ENV=test", "DATABASE_URL=" + w.url, "JWT_SECRET=" + secret, "TRACK_LOCAL_DIR=" + w.disk,
		"TRACK_STORAGE_BACKEND=s3", "AWS_S3_ENABLED=true", "AWS_S3_BUCKET=" + w.bucket.Name, "AWS_REGION=" + w.bucket.Region,
		"AWS_S3_ENDPOINT=" + w.bucket.Endpoint, "AWS_S3_FORCE_PATH_STYLE=true",
		"AWS_ACCESS_KEY_ID=" + w.bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + w.bucket.SecretKey,
		"CORS_ALLOWED_ORIGINS=https://app.example.com",
	}
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Exec(w.t.Context(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

// query returns one value as text.
func (w *world) query(sql string, args ...any) string {
	w.t.Helper()
	var text *string
	if err := w.db.QueryRow(w.t.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		w.t.Fatal(err)
	}
	if text == nil {
		return "none"
	}
	return *text
}

// upload opens the upload that the events tell of, and sends its bytes.
func (w *world) upload() { w.uploadAs(eventTrack, eventUpload, eventKey) }

func (w *world) uploadAs(trackID, uploadID, key string) {
	w.t.Helper()
	flac := audiotest.FLAC(1, 1)
	w.exec(`INSERT INTO tracks (id, creator_id, title, file_path, status) VALUES ($1, $2, 'Nocturne', '', 'uploading')`, trackID, creator)
	w.exec(`INSERT INTO track_uploads (id, track_id, user_id, method, backend, storage_key, size, max_size, format, content_type, expires_at)
		VALUES ($1, $2, $3, 'put', 's3', $4, $5, $5, 'flac', 'audio/flac', now() + interval '15 minutes')`,
		uploadID, trackID, creator, key, len(flac))
	_, err := w.bucket.Client().PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: &w.bucket.Name, Key: &key, Body: bytes.NewReader(flac)})
	if err != nil {
		w.t.Fatal(err)
	}
}

var bucketName = regexp.MustCompile(`trackstore(\\?")`)

// event reads an event file, as this world has it.
func (w *world) event(path string) []byte {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	user, err := track.ParseID(creator)
	if err != nil {
		w.t.Fatal(err)
	}
	token, err := auth.Sign(config.Auth{Secret: config.NewSecret(secret)}, user, time.Now().Add(time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	text := strings.NewReplacer("${TRACKSTORE_TOKEN}", token, "${CLOUDFORMATION_URL}", w.cloud.url).Replace(string(b))
	return []byte(bucketName.ReplaceAllString(text, w.bucket.Name+"$1"))
}

// expectation is what comes of an event: the answers to it, sent twice, and what is then
// in the database.
type expectation struct {
	before       func(*world)
	cold, warm   string // regular expressions; warm is as cold where it is empty
	sql, becomes string
}

const (
	stored    = `SELECT u.state || ' ' || t.status || ' ' || t.storage_backend || ' ' || t.file_version FROM track_uploads u JOIN tracks t ON t.id = u.track_id`
	localFile = "albums/a.wav"
)

func status(code int) string { return fmt.Sprintf(`"statusCode":%d,`, code) }

// onDisk enters a track whose file lies on disk.
func onDisk(w *world) {
	file := filepath.Join(w.disk, filepath.FromSlash(localFile))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(file, audiotest.WAV(1, 1), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $2, 'Nocturne', $3)`, eventTrack, creator, localFile)
}

// told enters an event.
func told(w *world) {
	w.exec("INSERT INTO track_events (track_id, type, data) VALUES ($1, 'ready', '{}')", eventTrack)
}

// alone is the database's URL of a role that has the rights of one function and no others, as schema grants prints them.
// The function that brings the schema up is its owner.
func (w *world) alone(function string) string {
	w.t.Helper()
	if function == "migrate-schema" {
		return w.url
	}
	role := "alone_" + strings.ToLower(rand.Text())
	w.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'alone'")
	w.t.Cleanup(func() {
		if _, err := w.db.Exec(context.Background(), "DROP OWNED BY "+role+"; DROP ROLE "+role); err != nil {
			w.t.Error(err)
		}
	})
	text, err := schema.Grants(w.t.Context(), schema.Database{URL: w.url}, role)
	if err != nil {
		w.t.Fatal(err)
	}
	_, text, found := strings.Cut(text, "-- "+function+":")
	if text, _, _ = strings.Cut(text, "\n-- "); !found {
		w.t.Fatalf("no rights are printed for %s", function)
	}
	w.exec("-- " + text)
	u, err := url.Parse(w.url)
	if err != nil {
		w.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "alone")
	return u.String()
}

// receiver is a webhook that takes everything.
func receiver(t testing.TB) (env []string) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	t.Cleanup(server.Close)
	return []string{"EVENTS_WEBHOOK_URL=" + server.URL, "EVENTS_WEBHOOK_SECRET=whsec_" + base64.StdEncoding.EncodeToString([]byte(secret))}
}

var expectations = map[string]expectation{
	"object-created/s3.json":          {before: (*world).upload, cold: `^{"batchItemFailures":\[\]}$`, sql: stored, becomes: "stored ready s3 2"},
	"object-created/sqs.json":         {before: (*world).upload, cold: `^{"batchItemFailures":\[\]}$`, sql: stored, becomes: "stored ready s3 2"},
	"object-created/eventbridge.json": {before: (*world).upload, cold: `^{"batchItemFailures":\[\]}$`, sql: stored, becomes: "stored ready s3 2"},
	"object-created/sqs-partial.json": {
		before: (*world).upload, cold: `^{"batchItemFailures":\[{"itemIdentifier":"19d[^"]+70"},{"itemIdentifier":"19d[^"]+71"}\]}$`,
		sql: stored, becomes: "stored ready s3 2",
	},
	"object-created/test-event.json": {before: (*world).upload, cold: `^{"batchItemFailures":\[\]}$`, sql: stored, becomes: "pending uploading local 1"},

	"sweep-uploads/schedule.json": {before: (*world).upload, cold: `^{"stored":1,.*"done":true}$`, warm: `^{"stored":0,`, sql: stored, becomes: "stored ready s3 2"},
	"sweep-uploads/dry-run.json": {
		before: (*world).upload, cold: `^{"stored":1,.*"done":true,"dry_run":true}$`, sql: stored, becomes: "pending uploading local 1",
	},

	"deliver-events/schedule.json": {
		before: told, cold: `^{"delivered":1,"failed":0,"dead":0}$`, warm: `^{"delivered":0,`, sql: "SELECT webhook_state FROM track_events", becomes: "delivered",
	},

	"migrate-schema/invoke.json": {cold: `^{"from":0,"to":\d+}$`, warm: `^{"from":(\d+),"to":\d+}$`, sql: "SELECT count(*) FROM tracks", becomes: "0"},
	"migrate-schema/create.json": {cold: `^""$`, sql: "SELECT count(*) FROM tracks", becomes: "0"},
	"migrate-schema/update.json": {cold: `^""$`, sql: "SELECT count(*) FROM tracks", becomes: "0"},
	"migrate-schema/delete.json": {cold: `^""$`, sql: "SELECT count(*) FROM information_schema.tables WHERE table_name = 'tracks'", becomes: "0"},

	"migrate-batch/default.json": {
		before: onDisk, cold: `"migrated":1,.*"done":true`, warm: `"migrated":0,.*"done":true`,
		sql: "SELECT storage_backend || ' ' || file_version FROM tracks", becomes: "s3 1",
	},
	"migrate-batch/to_s3.json": {
		before: onDisk, cold: `"migrated":1,.*"done":true`, warm: `"migrated":0,.*"done":true`,
		sql: "SELECT storage_backend || ' ' || file_version FROM tracks", becomes: "s3 1",
	},
	"migrate-batch/to_local.json": {
		before: onDisk, cold: `"migrated":0,.*"done":true`, sql: "SELECT storage_backend || ' ' || file_path FROM tracks", becomes: "local " + localFile,
	},

	"presign-upload/health.json":            {cold: status(200) + `.*\\"status\\":\\"ok\\"`},
	"presign-upload/open-put.json":          {cold: status(201) + `.*If-None-Match`, sql: "SELECT string_agg(method, ' ') FROM track_uploads", becomes: "put put"},
	"presign-upload/open-multipart.json":    {cold: status(201) + `.*part_size`},
	"presign-upload/companion-session.json": {cold: status(201) + `.*companion_url`},
	"presign-upload/preflight.json":         {cold: status(204)},
	"presign-upload/rubbish.json":           {cold: status(400)},
	"presign-upload/unknown-track.json":     {cold: status(404)},
	"presign-upload/without-token.json":     {cold: status(401), sql: "SELECT count(*) FROM track_uploads", becomes: "0"},
}

func testEvents(t *testing.T, p *programs) {
	files, err := filepath.Glob("*/events/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d event files, %v", len(files), err)
	}
	left := make(map[string]bool)
	for name := range expectations {
		left[name] = true
	}
	for _, file := range files {
		function := strings.Split(filepath.ToSlash(file), "/")[0]
		name := function + "/" + filepath.Base(file)
		expected, ok := expectations[name]
		if !ok {
			t.Errorf("nobody says what comes of %s", file)
		}
		delete(left, name)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			database := testenv.Postgres
			if function == "migrate-schema" {
				database = testenv.EmptyPostgres
			}
			w := newWorld(t, database(t))
			if expected.before != nil {
				expected.before(w)
			}
			f := p.serve(t, function, append(append(w.env(), receiver(t)...), "DATABASE_URL="+w.alone(function))...)
			event := w.event(file)
			for i, want := range []string{expected.cold, expected.warm} {
				if want == "" {
					want = expected.cold
				}
				if got := f.invoke(event, time.Minute); got.failed || !regexp.MustCompile(want).MatchString(got.body) {
					t.Errorf("answer %d is %s, want %s", i+1, got.body, want)
				}
			}
			if f.starts != 1 {
				t.Errorf("%d processes were needed", f.starts)
			}
			if expected.sql != "" {
				if got := w.query(expected.sql); got != expected.becomes {
					t.Errorf("%s: got %q, want %q", expected.sql, got, expected.becomes)
				}
			}
			if function == "object-created" {
				if got := w.query("SELECT count(*) FROM track_events WHERE webhook_state <> 'delivered'"); got != "0" {
					t.Errorf("%s events were not taken out at its end", got)
				}
			}
			w.cloud.check(t, filepath.Base(file))
			checkLog(t, w, f.logged()+f.metrics.String())
		})
	}
	for name := range left {
		t.Errorf("%s is expected, and there is no such event", name)
	}
}

// checkLog looks for what must never be logged, and for lines that are no JSON.
func checkLog(t *testing.T, w *world, log string) {
	t.Helper()
	database, err := url.Parse(w.url)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := database.User.Password()
	for _, s := range []string{secret, w.bucket.SecretKey, password, "X-Amz-Signature", "Bearer ey"} {
		if s == "" || strings.Contains(log, s) {
			t.Errorf("the log holds %q:\n%s", s, log)
		}
	}
	for line := range strings.Lines(log) {
		if !json.Valid([]byte(line)) {
			t.Errorf("a line of the log is no JSON: %s", line)
		}
	}
}

// One object that is slow to answer must not keep the others of its batch from being settled.
func testDeadline(t *testing.T, p *programs) {
	w := newWorld(t, testenv.Postgres(t))
	w.upload()
	slowTrack, slowUpload := track.NewID().String(), track.NewID().String()
	slowKey := "uploads/" + slowTrack + "/" + slowUpload + ".flac"
	w.uploadAs(slowTrack, slowUpload, slowKey)

	endpoint, err := url.Parse(w.bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(endpoint)
		r.Out.Host = r.In.Host // which is signed
	}}
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, slowUpload) {
			<-r.Context().Done()
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	defer server.Close()
	f := p.serve(t, "object-created", append(w.env(), "AWS_S3_ENDPOINT="+server.URL)...)

	event := strings.ReplaceAll(string(w.event("object-created/events/sqs-partial.json")), "not an event",
		strings.ReplaceAll(fmt.Sprintf(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"%s"},"object":{"key":"%s"}}}]}`,
			w.bucket.Name, slowKey), `"`, `\"`))
	event = strings.ReplaceAll(event, "%zz", "x")
	want := `{"batchItemFailures":[{"itemIdentifier":"19dd0b57-b21e-4ac1-bd88-01bbb068cb71"}]}`
	if got := f.invoke([]byte(event), 4*time.Second); got.failed || got.body != want {
		t.Errorf("got %+v, want %s", got, want)
	}
	if got := w.query("SELECT string_agg(state, ' ' ORDER BY seq) FROM track_uploads"); got != "stored pending" {
		t.Errorf("the uploads are %s", got)
	}
	if f.starts != 1 {
		t.Errorf("the process was ended: %s", f.logged())
	}
}

func testError(t *testing.T, p *programs) {
	w := newWorld(t, testenv.Postgres(t))
	w.upload()
	f := p.serve(t, "object-created", w.env()...)
	for _, event := range []string{`{}`, `[1]`, `"x"`, `{"Records":[{"s3":{"bucket":{"name":"b"},"object":{"key":"%zz"}},"eventName":"ObjectCreated:Put"}]}`} {
		got := f.invoke([]byte(event), time.Minute)
		var e struct{ ErrorMessage, ErrorType string }
		if err := json.Unmarshal([]byte(got.body), &e); err != nil || !got.failed || e.ErrorMessage == "" {
			t.Errorf("%s: %+v, %v", event, got, err)
		}
	}
	if got := f.invoke(w.event("object-created/events/s3.json"), time.Minute); got.failed || f.starts != 1 {
		t.Errorf("after errors: %+v in process %d", got, f.starts)
	}
	// The database is away: the messages are to be tried again, the process lives.
	away := p.serve(t, "object-created", append(w.env(), "DATABASE_URL=postgres://u:p@127.0.0.1:1/x")...)
	got := away.invoke(w.event("object-created/events/sqs.json"), time.Minute)
	if got.failed || got.body != `{"batchItemFailures":[{"itemIdentifier":"19dd0b57-b21e-4ac1-bd88-01bbb068cb70"}]}` {
		t.Errorf("without a database: %+v", got)
	}
}

func testPanic(t *testing.T, p *programs) {
	f := p.serve(t, "panics")
	for i := range 2 { // the second event gets a process of its own
		got := f.invoke([]byte(`{}`), time.Minute)
		if !got.failed || !strings.Contains(got.body, "out of tune") {
			t.Errorf("got %+v", got)
		}
		<-f.exited
		if f.starts != i+1 {
			t.Errorf("%d processes", f.starts)
		}
	}
}

func testConfiguration(t *testing.T, p *programs) {
	wrong := []string{"APP_ENV=production", "TRACK_STORAGE_BACKEND=S3", "LOG_LEVEL=loud", "STORAGE_GRACE=soon", "JWT_SECRET=short",
		"MIGRATE_LEASE=-1s", "UPLOAD_TTL=never"}
	named := map[string][]string{
		"presign-upload": {"TRACK_STORAGE_BACKEND", "LOG_LEVEL", "DATABASE_URL", "JWT_SECRET", "UPLOAD_TTL"},
		"object-created": {"TRACK_STORAGE_BACKEND", "LOG_LEVEL", "DATABASE_URL"},
		"migrate-batch":  {"TRACK_STORAGE_BACKEND", "LOG_LEVEL", "DATABASE_URL", "MIGRATE_LEASE"},
		"sweep-uploads":  {"TRACK_STORAGE_BACKEND", "LOG_LEVEL", "DATABASE_URL", "STORAGE_GRACE", "MIGRATE_LEASE"},
	}
	for function, names := range named {
		f := p.serve(t, function, wrong...)
		got := f.invoke([]byte(`{}`), time.Minute)
		if !got.failed || !strings.Contains(got.body, "exited before it asked") || f.process.ProcessState.ExitCode() != 1 {
			t.Errorf("%s: %+v, exit code %d", function, got, f.process.ProcessState.ExitCode())
		}
		for _, name := range names {
			if log := f.logged(); !strings.Contains(log, name) {
				t.Errorf("%s says nothing of %s:\n%s", function, name, log)
			}
		}
	}
}

// CloudFormation waits for an answer, whatever is wrong.
func testFailedMigration(t *testing.T, p *programs) {
	for name, c := range map[string]struct {
		env  func(*world) []string
		want string
	}{
		"configuration": {func(*world) []string { return []string{"APP_ENV=production", "LOG_LEVEL=loud"} }, "LOG_LEVEL"},
		"database":      {func(*world) []string { return []string{"DATABASE_URL=postgres://u:hidden@127.0.0.1:1/x"} }, "schema up"},
		"migration": {func(w *world) []string {
			w.exec("CREATE TABLE tracks (id bigint PRIMARY KEY, name text)") // a platform's that cannot do
			return w.env()
		}, "creator_id uuid"},
	} {
		w := newWorld(t, testenv.EmptyPostgres(t))
		f := p.serve(t, "migrate-schema", c.env(w)...)
		if got := f.invoke(w.event("migrate-schema/events/create.json"), time.Minute); got.failed {
			t.Errorf("%s: %+v", name, got)
		}
		all := w.cloud.all()
		if len(all) != 1 || all[0].Status != cfn.StatusFailed || !strings.Contains(all[0].Reason, c.want) || strings.Contains(all[0].Reason, "hidden") {
			t.Errorf("%s: CloudFormation is told %+v", name, all)
		}
	}
}

// cloudFormation takes the answers of custom resources.
type cloudFormation struct {
	url     string
	answers chan cfn.Response
}

func newCloudFormation(t testing.TB) *cloudFormation {
	c := &cloudFormation{answers: make(chan cfn.Response, 10)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var answer cfn.Response
		body, err := io.ReadAll(r.Body)
		if err == nil {
			err = json.Unmarshal(body, &answer)
		}
		if err != nil || r.Method != http.MethodPut {
			t.Errorf("%s %s: %v", r.Method, body, err)
		}
		c.answers <- answer
	}))
	t.Cleanup(server.Close)
	c.url = server.URL + "/response?signature=x"
	return c
}

// all returns the answers so far.
func (c *cloudFormation) all() (all []cfn.Response) {
	for len(c.answers) > 0 {
		all = append(all, <-c.answers)
	}
	return all
}

// check looks at the answers to an event of CloudFormation that was sent twice.
func (c *cloudFormation) check(t *testing.T, event string) {
	t.Helper()
	all := c.all()
	if !slices.Contains([]string{"create.json", "update.json", "delete.json"}, event) {
		if len(all) > 0 {
			t.Errorf("CloudFormation is told %+v", all)
		}
		return
	}
	if len(all) != 2 {
		t.Fatalf("CloudFormation is told %+v", all)
	}
	for _, answer := range all {
		if answer.Status != cfn.StatusSuccess || answer.PhysicalResourceID != "trackstore-schema" ||
			answer.RequestID != "unique-id-1234" || answer.LogicalResourceID != "SchemaMigration" || answer.StackID == "" {
			t.Errorf("CloudFormation is told %+v", answer)
		}
	}
}
