package upload_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestUnknownPathsAndMethods(t *testing.T) {
	t.Parallel()
	s := start(t)
	for _, path := range []string{"/", "/v1", "/v1/uploads/", "//v1/uploads", "/v1/./uploads", "/v1/uploads//parts", "/v1/tracks", "/u/x", "/u/x/s3", "/index.html", "/%2e%2e/x"} {
		s.call("GET", path, nil).refused(404, upload.NotFound)
	}
	for call, allow := range map[string]string{
		"PUT /v1/uploads":               "GET, HEAD, POST, OPTIONS",
		"PUT /v1/uploads/x":             "DELETE, GET, HEAD, OPTIONS",
		"PATCH /v1/tracks/x/audio":      "GET, HEAD, OPTIONS",
		"POST /healthz":                 "GET, HEAD, OPTIONS",
		"PUT /u/x/s3/multipart/y/batch": "GET, HEAD, OPTIONS",
		"BREW /v1/uploads/x/complete":   "POST, OPTIONS",
		"GET /v1/uploads/x/complete":    "POST, OPTIONS",
		"DELETE /v1/uploads/x/complete": "POST, OPTIONS",

		"GET /u/x/s3/multipart/y/complete":    "POST, OPTIONS",
		"DELETE /u/x/s3/multipart/y/complete": "POST, OPTIONS",
		"POST /u/x/s3/multipart/y/7":          "GET, HEAD, OPTIONS",
		"POST /u/x/s3/params":                 "GET, OPTIONS",
	} {
		method, path, _ := strings.Cut(call, " ")
		r := s.call(method, path, nil)
		if r.refused(405, upload.MethodNotAllowed); r.header.Get("Allow") != allow {
			t.Errorf("%s: Allow %q, want %q", call, r.header.Get("Allow"), allow)
		}
	}
}

func TestWhoIsLetIn(t *testing.T) {
	t.Parallel()
	s := start(t)
	expired, err := auth.Sign(byKey, s.user, time.Now().Add(-time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	forged, err := auth.Sign(config.Auth{Secret: config.NewSecret("another secret of sufficient length")}, s.user, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	const none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiIwMTk0MmY2Ni03MDdjLTdkOWQtODAwMS0wMDAwMDAwMDAwMmEiLCJleHAiOjQxMDI0NDQ4MDB9."
	for _, header := range []string{"", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz", "Bearer rubbish", "Bearer " + expired, "Bearer " + forged, "Bearer " + none} {
		for _, route := range upload.Routes() {
			if route.Access != upload.Bearer && route.Access != upload.Listener {
				continue
			}
			r := s.call(route.Method, strings.NewReplacer("{", "", "}", "").Replace(route.Path), nil, "Authorization", header)
			r.refused(401, upload.Unauthorized)
			if !strings.HasPrefix(r.header.Get("WWW-Authenticate"), "Bearer") {
				t.Errorf("%s: WWW-Authenticate %q", header, r.header.Get("WWW-Authenticate"))
			}
		}
	}
	s.call("GET", "/healthz", nil, "Authorization", "").want(200)
}

func TestCORS(t *testing.T) {
	t.Parallel()
	s := start(t)
	preflight := func(s *stage, path, origin string) http.Header {
		t.Helper()
		r := s.call("OPTIONS", path, nil, "Origin", origin, "Access-Control-Request-Method", "POST", "Authorization", "")
		if r.status != 204 || len(r.body) != 0 || r.header.Get("Vary") != "Origin" || r.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("preflight: %d %s %v", r.status, r.body, r.header)
		}
		return r.header
	}
	for _, path := range []string{"/v1/uploads", "/u/x/s3/multipart", "/healthz"} {
		h := preflight(s, path, "https://app.example.com")
		if h.Get("Access-Control-Allow-Origin") != "https://app.example.com" || !strings.Contains(h.Get("Access-Control-Allow-Methods"), "DELETE") ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "idempotency-key") || !strings.Contains(h.Get("Access-Control-Allow-Headers"), "authorization") {
			t.Errorf("%s: %v", path, h)
		}
		for _, origin := range []string{"https://evil.example.com", "http://app.example.com", "https://app.example.com.evil.com", "null"} {
			if h := preflight(s, path, origin); h.Get("Access-Control-Allow-Origin") != "" || h.Get("Access-Control-Allow-Methods") != "" {
				t.Errorf("%s is let in: %v", origin, h)
			}
		}
	}
	for _, r := range []reply{
		s.call("POST", "/v1/uploads", file(100), "Origin", "https://app.example.com"),
		s.call("POST", "/v1/uploads", "{", "Origin", "https://app.example.com"),
		s.call("GET", "/nowhere", nil, "Origin", "https://app.example.com"),
		s.call("GET", "/v1/tracks/x", nil, "Origin", "https://app.example.com", "Authorization", ""),
	} {
		if r.header.Get("Access-Control-Allow-Origin") != "https://app.example.com" || r.header.Get("Vary") != "Origin" {
			t.Errorf("%s %d: %v", r.what, r.status, r.header)
		}
	}
	any := start(t, func(c *upload.Config) { c.Limits.AllowedOrigins = []string{"*"} })
	if h := preflight(any, "/v1/uploads", "https://wherever.example.com"); h.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin: %v", h)
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	down := &failingStore{}
	s := start(t, func(c *upload.Config) { down.Store = c.Store; c.Store = down })
	if got := s.call("GET", "/healthz", nil).want(200); got["status"] != "ok" {
		t.Errorf("health: %v", got)
	}
	s.call("HEAD", "/healthz", nil).want(200)
	s.store.Close()
	s.call("GET", "/healthz", nil).refused(503, upload.Unavailable)
}

// thawing is a database whose connections broke while nobody looked: two seconds pass before that is noticed.
type thawing struct{ upload.Store }

func (s thawing) Ping(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(2100 * time.Millisecond):
		return s.Store.Ping(ctx)
	}
}

func TestHealthAfterAThaw(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *upload.Config) { c.Store = thawing{c.Store} })
	s.call("GET", "/healthz", nil).want(200)
}

func TestASchemaThatIsMissingIsNotTheClientsConcern(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.sql("DROP TABLE track_uploads")
	s.call("POST", "/v1/uploads", file(100)).refused(503, upload.Unavailable)
	if log := s.log.String(); !strings.Contains(log, track.ErrNoSchema.Error()) {
		t.Errorf("the log does not say why: %s", log)
	}
}

func TestAPanicIsAnAnswer(t *testing.T) {
	t.Parallel()
	broken := &failingStore{panics: true}
	s := start(t, func(c *upload.Config) { broken.Store = c.Store; c.Store = broken })
	r := s.call("GET", "/v1/tracks/"+track.NewID().String(), nil)
	r.refused(500, upload.Internal)
	if strings.Contains(string(r.body), "goroutine") || strings.Contains(string(r.body), "plumbing") || !strings.Contains(s.log.String(), "plumbing burst") {
		t.Errorf("answer: %s\nlog: %s", r.body, s.log)
	}
}

// failingStore makes a real store fail.
type failingStore struct {
	upload.Store
	panics bool
}

func (f *failingStore) Track(ctx context.Context, creator, id track.ID) (track.Track, error) {
	if f.panics {
		panic("plumbing burst")
	}
	return f.Store.Track(ctx, creator, id)
}

func TestTheLogTellsWhatHappened(t *testing.T) {
	t.Parallel()
	s := start(t)
	done := s.stored(audiotest.WAV(1, 1))
	s.audio(done.str("track_id"))
	r := s.call("GET", "/v1/uploads/"+done.str("upload_id"), nil, "X-Request-Id", "edge-7")
	if r.header.Get("X-Request-Id") != "edge-7" || r.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers: %v", r.header)
	}
	if r := s.call("GET", "/v1/uploads/x", nil, "X-Request-Id", "with space"); len(r.header.Get("X-Request-Id")) != 36 {
		t.Errorf("headers: %v", r.header)
	}
	log := s.log.String()
	for _, secret := range []string{"X-Amz", "Signature", s.token, "Bearer"} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %s", secret)
		}
	}
	for line := range strings.Lines(log) {
		var entry answer
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Fatal(err)
		}
		if entry["request_id"] == "edge-7" && (entry["method"] != "GET" || entry["route"] != "/v1/uploads/{upload_id}" || entry["status"] != 200.0 ||
			entry["upload_id"] != done["upload_id"] || entry["track_id"] != done["track_id"] || entry["duration_ms"] == nil) {
			t.Errorf("logged: %s", line)
		}
	}
	if !strings.Contains(log, "edge-7") {
		t.Error("the request is not in the log")
	}
}
