package diskstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// send makes a request and returns the answer with its body read.
func send(t *testing.T, method, url string, headers map[string]string, body io.Reader) (*http.Response, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response, content
}

func signPut(t *testing.T, store *diskstore.Store, key string, size int64) track.SignedPut {
	t.Helper()
	signed, err := store.SignPut(t.Context(), track.PutSpec{Key: key, Size: size, ContentType: "audio/flac", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func TestRefusalsAreProblems(t *testing.T) {
	t.Parallel()
	store := open(t, diskstore.Config{})
	signed := signPut(t, store, "uploads/a.flac", 4)
	base, _, _ := strings.Cut(signed.URL, "/disk/")
	nothing, err := store.SignGet(t.Context(), track.GetSpec{Key: "uploads/nothing.flac", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	old, err := store.SignGet(t.Context(), track.GetSpec{Key: "uploads/nothing.flac", TTL: -time.Second})
	if err != nil {
		t.Fatal(err)
	}
	unknownLength := io.MultiReader(strings.NewReader("four"))
	otherType := map[string]string{"Content-Type": "text/html", "If-None-Match": "*"}
	for _, test := range []struct {
		name    string
		method  string
		url     string
		headers map[string]string
		body    io.Reader
		status  int
		code    string
	}{
		{"no length", "PUT", signed.URL, signed.Headers, unknownLength, 411, "length_required"},
		{"too long", "PUT", signed.URL, signed.Headers, strings.NewReader("fifth"), 413, "too_large"},
		{"too short", "PUT", signed.URL, signed.Headers, strings.NewReader("3rd"), 400, "mismatch"},
		{"another type", "PUT", signed.URL, otherType, strings.NewReader("four"), 400, "mismatch"},
		{"a doubled query", "PUT", signed.URL + "&size=5", signed.Headers, strings.NewReader("fifth"), 403, "invalid_signature"},
		{"a query that cannot be read", "GET", base + "/disk/x?a=%zz", nil, nil, 400, "malformed"},
		{"another method", "DELETE", signed.URL, nil, nil, 405, "method_not_allowed"},
		{"an absent file", "GET", nothing.URL, nil, nil, 404, "not_found"},
		{"an old URL", "GET", old.URL, nil, nil, 403, "expired"},
		{"another path", "GET", base + "/elsewhere", nil, nil, 404, "not_found"},
		{"no form", "POST", base + "/disk/", map[string]string{"Content-Type": "text/plain"}, strings.NewReader("x"), 415, "not_a_form"},
		{"half a form", "POST", base + "/disk/", map[string]string{"Content-Type": "multipart/form-data; boundary=x"}, strings.NewReader("--x\r\n"), 400, "no_file"},
		{"a preflight of a stranger", "OPTIONS", signed.URL, map[string]string{"Origin": "https://elsewhere.example"}, nil, 403, "origin_not_allowed"},
	} {
		response, body := send(t, test.method, test.url, test.headers, test.body)
		var problem struct {
			Type, Title, Detail, Code string
			Status                    int
		}
		if err := json.Unmarshal(body, &problem); err != nil {
			t.Errorf("%s: %s is no problem: %v", test.name, body, err)
			continue
		}
		if response.StatusCode != test.status || problem.Status != test.status || problem.Code != test.code || problem.Detail == "" ||
			response.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: answered %d %s", test.name, response.StatusCode, body)
		}
	}
}

func TestWithoutServerNothingIsSignedOrLetIn(t *testing.T) {
	t.Parallel()
	store, err := diskstore.New(diskstore.Config{Root: t.TempDir(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	spec := track.PutSpec{Key: "k", Size: 1, TTL: time.Minute}
	if _, err := store.SignPut(t.Context(), spec); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("SignPut: %v", err)
	}
	if _, err := store.SignPost(t.Context(), spec); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("SignPost: %v", err)
	}
	if _, err := store.SignGet(t.Context(), track.GetSpec{Key: "k"}); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("SignGet: %v", err)
	}
	w := httptest.NewRecorder()
	store.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/k?signature=x", nil))
	if w.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", w.Code)
	}
}

// A track that was there before trackstore has a path of its own kind.
func TestFilesOfThePlatformAreServed(t *testing.T) {
	t.Parallel()
	store, base := folder(t)
	link(t, filepath.Join(base, "root/a.flac"), filepath.Join(base, "root/link.mp3"))
	link(t, filepath.Join(base, "outside"), filepath.Join(base, "root/leaves"))
	for path, contentType := range map[string]string{
		"a.flac": "audio/flac", filepath.Join(base, "root/a.flac"): "audio/flac", filepath.Join(base, "alias/a.flac"): "audio/flac",
		"link.mp3": "audio/mpeg",
	} {
		signed, err := store.SignGet(t.Context(), track.GetSpec{Key: path, TTL: time.Minute})
		if err != nil {
			t.Fatal(err)
		}
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			response, body := send(t, method, signed.URL, nil, nil)
			if response.StatusCode != 200 || response.ContentLength != 1 || method == http.MethodGet && string(body) != "a" {
				t.Errorf("%s %s: answered %d %q", method, path, response.StatusCode, body)
			}
			if got := response.Header.Get("Content-Type"); got != contentType || response.Header.Get("X-Content-Type-Options") != "nosniff" {
				t.Errorf("%s: the content type is %q, %v", path, got, response.Header)
			}
		}
	}
	if _, err := store.SignGet(t.Context(), track.GetSpec{Key: "/etc/passwd", TTL: time.Minute}); !errors.Is(err, track.ErrOutsideRoot) {
		t.Errorf("got %v", err)
	}
	signed, err := store.SignGet(t.Context(), track.GetSpec{Key: "leaves/secret.flac", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if response, body := send(t, http.MethodGet, signed.URL, nil, nil); response.StatusCode != http.StatusNotFound {
		t.Errorf("answered %d %s", response.StatusCode, body)
	}
}

// event is what a consumer of S3's events looks at.
type event struct {
	Records []struct {
		EventSource, EventName, EventTime string
		S3                                struct {
			Bucket struct{ Name string }
			Object struct {
				Key, ETag, Sequencer string
				Size                 int64
			}
		}
	}
}

func TestEachObjectIsAnnouncedAsByS3(t *testing.T) {
	t.Parallel()
	var events []event
	store := open(t, diskstore.Config{
		OnCreate: func(_ context.Context, content []byte) error {
			var e event
			err := json.Unmarshal(content, &e)
			events = append(events, e)
			return errors.Join(err, errors.New("the queue is full"))
		},
		Logger: slog.New(slog.DiscardHandler),
	})
	const key = "uploads/a b+c/100% ü.flac"
	put := signPut(t, store, key, 4)
	if response, body := send(t, http.MethodPut, put.URL, put.Headers, strings.NewReader("four")); response.StatusCode != 200 {
		t.Errorf("an event that is not delivered must not fail the PUT: %d %s", response.StatusCode, body)
	}
	if response, _ := send(t, http.MethodPut, put.URL, put.Headers, strings.NewReader("four")); response.StatusCode != 412 {
		t.Errorf("answered %d", response.StatusCode)
	}

	form, err := store.SignPost(t.Context(), track.PutSpec{Key: "uploads/form.flac", MaxSize: 10, ContentType: "audio/flac", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for name, value := range form.Fields {
		_ = w.WriteField(name, value)
	}
	file, _ := w.CreateFormFile("file", "x")
	_, _ = file.Write([]byte("sixsix"))
	_ = w.Close()
	if response, answer := send(t, http.MethodPost, form.URL, map[string]string{"Content-Type": w.FormDataContentType()}, &body); response.StatusCode != 201 {
		t.Errorf("answered %d %s", response.StatusCode, answer)
	}

	id, err := store.CreateMultipart(t.Context(), "uploads/parts.flac", "audio/flac", nil)
	if err != nil {
		t.Fatal(err)
	}
	part, err := store.SignPart(t.Context(), track.PartSpec{Key: "uploads/parts.flac", MultipartID: id, Number: 1, TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	response, _ := send(t, http.MethodPut, part.URL, nil, strings.NewReader("parts"))
	parts := []track.Part{{Number: 1, ETag: response.Header.Get("ETag")}}
	if err := store.CompleteMultipart(t.Context(), "uploads/parts.flac", id, 5, parts); err != nil {
		t.Fatal(err)
	}

	type seen struct {
		Name, Bucket, Key string
		Size              int64
	}
	var got []seen
	last := ""
	for _, e := range events {
		for _, r := range e.Records {
			got = append(got, seen{r.EventName, r.S3.Bucket.Name, r.S3.Object.Key, r.S3.Object.Size})
			if r.S3.Object.Sequencer <= last || r.S3.Object.ETag == "" || r.EventSource != "aws:s3" {
				t.Errorf("after sequencer %q: %+v", last, r)
			}
			last = r.S3.Object.Sequencer
			if _, err := time.Parse("2006-01-02T15:04:05.000Z", r.EventTime); err != nil {
				t.Error(err)
			}
		}
	}
	want := []seen{
		{"ObjectCreated:Put", "local-disk", "uploads/a+b%2Bc/100%25+%C3%BC.flac", 4},
		{"ObjectCreated:Post", "local-disk", "uploads/form.flac", 6},
		{"ObjectCreated:CompleteMultipartUpload", "local-disk", "uploads/parts.flac", 5},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if unescaped, err := url.QueryUnescape(want[0].Key); unescaped != key || err != nil {
		t.Errorf("the key unescapes to %q, %v", unescaped, err)
	}
}
