package upload_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/diskstore"
	"trackstore/shared/ingest"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestMain(m *testing.M) { testenv.Main(m) }

var byKey = config.Auth{Secret: config.NewSecret("0123456789abcdef0123456789abcdef"), PlaybackScope: "tracks:play"}

// stage is the API over real parts: a database and a bucket or a folder of the test's own.
type stage struct {
	t       testing.TB
	url     string
	api     http.Handler
	user    track.ID
	token   string
	db      *pgxpool.Pool // behind the API's back
	store   *pgstore.Store
	backend upload.Backend
	bucket  testenv.Bucket // where the backend is S3
	root    string         // where it is a folder
	log     *buffer
}

// start serves the API with new files on S3, unless change says otherwise.
func start(t testing.TB, change ...func(*upload.Config)) *stage {
	t.Helper()
	s := &stage{t: t, user: track.NewID(), bucket: testenv.S3(t)}
	backend := stores.OpenS3(t, s.bucket)
	s.serve(backend, backend, track.S3, change)
	return s
}

// startLocal serves the API with new files in a folder.
func startLocal(t testing.TB, change ...func(*upload.Config)) *stage {
	t.Helper()
	s := &stage{t: t, user: track.NewID(), root: t.TempDir()}
	var disk *diskstore.Store
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { disk.Handler().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	disk, err := diskstore.New(diskstore.Config{
		Root: s.root, URL: parseURL(t, server.URL+"/files"), Secret: []byte("0123456789abcdef0123456789abcdef"), AllowedOrigins: []string{"*"},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.serve(disk, disk, track.Local, change)
	return s
}

// onEach runs a test over both backends.
func onEach(t *testing.T, test func(t *testing.T, s *stage), change ...func(*upload.Config)) {
	t.Run("s3", func(t *testing.T) { t.Parallel(); test(t, start(t, change...)) })
	t.Run("local", func(t *testing.T) { t.Parallel(); test(t, startLocal(t, change...)) })
}

func (s *stage) serve(backend upload.Backend, bytes ingest.Backend, name string, change []func(*upload.Config)) {
	s.t.Helper()
	s.backend, s.log = backend, &buffer{}
	dsn := testenv.Postgres(s.t)
	store, err := pgstore.Open(s.t.Context(), dsn, 20)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(store.Close)
	s.store = store
	if s.db, err = pgxpool.New(s.t.Context(), dsn); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(s.db.Close)
	log := slog.New(slog.NewJSONHandler(s.log, nil))
	c := upload.Config{
		Limits: upload.Limits{
			MaxBytes: 2 << 30, SingleMaxBytes: 64 << 20, URLTTL: 15 * time.Minute, TTL: 24 * time.Hour, MaxPending: 50,
			AllowedOrigins: []string{"https://app.example.com"}, PlaybackURLTTL: 4 * time.Hour,
		},
		Auth:     auth.New(byKey),
		Store:    store,
		Confirm:  ingest.New(ingest.Config{Uploads: store, Backends: map[string]ingest.Backend{name: bytes}, Log: log}),
		NewFiles: name,
		Backends: map[string]upload.Backend{name: backend},
		Log:      log,
	}
	for _, f := range change {
		f(&c)
	}
	s.api = upload.New(c)
	server := httptest.NewServer(described(s.t, s.api))
	s.t.Cleanup(server.Close)
	s.url = server.URL
	s.token = tokenOf(s.t, s.user)
}

func tokenOf(t testing.TB, user track.ID) string {
	t.Helper()
	token, err := auth.Sign(byKey, user, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// in returns the same API for another test.
func (s *stage) in(t testing.TB) *stage {
	other := *s
	other.t = t
	return &other
}

// as returns the same API for another user.
func (s *stage) as(user track.ID) *stage {
	other := *s
	other.user, other.token = user, tokenOf(s.t, user)
	return &other
}

// reply is an answer that was read.
type reply struct {
	t      testing.TB
	what   string
	status int
	header http.Header
	body   []byte
}

// call sends a request with the user's token; body is a string as it is, or what to make
// JSON of. header has names and values in turn.
func (s *stage) call(method, path string, body any, header ...string) reply {
	s.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		text, err := json.Marshal(b)
		if err != nil {
			s.t.Fatal(err)
		}
		reader = bytes.NewReader(text)
	}
	url := path
	if strings.HasPrefix(path, "/") {
		url = s.url + path
	}
	r, err := http.NewRequestWithContext(context.Background(), method, url, reader)
	if err != nil {
		s.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if s.token != "" {
		r.Header.Set("Authorization", "Bearer "+s.token)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return send(s.t, r)
}

var noRedirects = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func send(t testing.TB, r *http.Request) reply {
	t.Helper()
	response, err := noRedirects.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{t, r.Method + " " + r.URL.Path, response.StatusCode, response.Header, body}
}

// want fails the test unless the answer has this status, and decodes it.
func (a reply) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s: answered %d %s, want %d", a.what, a.status, a.body, status)
	}
	if len(a.body) == 0 {
		return nil
	}
	var out answer
	if err := json.Unmarshal(a.body, &out); err != nil {
		a.t.Fatalf("%s: answered %s: %v", a.what, a.body, err)
	}
	return out
}

// refused fails the test unless the answer is a problem with this code and these words in its detail.
func (a reply) refused(status int, code upload.Code, words ...string) {
	a.t.Helper()
	p := a.want(status)
	if p.str("code") != string(code) || p["type"] != "about:blank" || p.str("title") != http.StatusText(status) || p["status"] != float64(status) {
		a.t.Errorf("%s: problem %s, want code %s", a.what, a.body, code)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("%s: content type %q", a.what, got)
	}
	for _, word := range words {
		if !strings.Contains(p.str("detail"), word) {
			a.t.Errorf("%s: detail %q lacks %q", a.what, p.str("detail"), word)
		}
	}
}

// answer is a JSON object.
type answer map[string]any

func (a answer) str(name string) string { s, _ := a[name].(string); return s }

func (a answer) obj(name string) answer { o, _ := a[name].(map[string]any); return o }

func (a answer) list(name string) []answer {
	items, _ := a[name].([]any)
	out := make([]answer, len(items))
	for i, item := range items {
		out[i], _ = item.(map[string]any)
	}
	return out
}

// file is the body that opens an upload, with changes; nil takes a field out.
func file(size int, changes ...any) answer {
	a := answer{"title": "Nocturne", "filename": "take 3 (final).wav", "content_type": "audio/wav", "size": size}
	for i := 0; i < len(changes); i += 2 {
		a[changes[i].(string)] = changes[i+1]
		if changes[i+1] == nil {
			delete(a, changes[i].(string))
		}
	}
	return a
}

func (s *stage) open(size int, changes ...any) answer {
	s.t.Helper()
	return s.call("POST", "/v1/uploads", file(size, changes...)).want(http.StatusCreated)
}

// put sends bytes as a ticket says.
func (s *stage) put(o answer, content []byte) reply {
	s.t.Helper()
	p := o.obj("put")
	r, err := http.NewRequestWithContext(context.Background(), "PUT", p.str("url"), bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	for name, value := range p.obj("headers") {
		r.Header.Set(name, value.(string))
	}
	return send(s.t, r)
}

// post sends bytes as the form of a ticket says.
func (s *stage) post(form answer, content []byte) reply {
	s.t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range form.obj("fields") {
		_ = w.WriteField(name, value.(string))
	}
	part, _ := w.CreateFormFile("file", "x.wav")
	_, _ = part.Write(content)
	_ = w.Close()
	r, err := http.NewRequestWithContext(context.Background(), "POST", form.str("url"), &body)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Content-Type", w.FormDataContentType())
	return send(s.t, r)
}

func (s *stage) complete(o answer, body any) reply {
	s.t.Helper()
	return s.call("POST", "/v1/uploads/"+o.str("upload_id")+"/complete", body)
}

// stored uploads bytes in one request and returns the answer of complete.
func (s *stage) stored(content []byte, changes ...any) answer {
	s.t.Helper()
	o := s.open(len(content), changes...)
	if r := s.put(o, content); r.status != http.StatusOK {
		s.t.Fatalf("PUT answered %d %s", r.status, r.body)
	}
	done := s.complete(o, nil).want(http.StatusOK)
	if done["state"] != "stored" {
		s.t.Fatalf("complete answered %v", done)
	}
	return done
}

// audio reads a track's bytes through the API.
func (s *stage) audio(trackID string, header ...string) reply {
	s.t.Helper()
	r := s.call("GET", "/v1/tracks/"+trackID+"/audio", nil)
	if r.status != http.StatusFound {
		s.t.Fatalf("audio answered %d %s", r.status, r.body)
	}
	return (&stage{t: s.t}).call("GET", r.header.Get("Location"), nil, header...)
}

// sql runs a statement and returns the first column of its first row as text.
func (s *stage) sql(statement string, args ...any) string {
	s.t.Helper()
	var text *string
	rows, err := s.db.Query(s.t.Context(), statement, args...)
	if err != nil {
		s.t.Fatal(err)
	}
	defer rows.Close()
	if rows.Next() && len(rows.FieldDescriptions()) > 0 {
		if err := rows.Scan(&text); err != nil {
			s.t.Fatal(err)
		}
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		s.t.Fatal(err)
	}
	if text == nil {
		return ""
	}
	return *text
}

func parseURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// buffer is a log that may be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
