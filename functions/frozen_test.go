package functions_test

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
)

// A sweep whose process is stopped after its mark, before it has looked what there is to remove, and for longer than the
// grace. Meanwhile another sweep ends what it began, and the key is written anew, for a row. When the process goes on it
// finds the new version, looks at the clock, and removes nothing.
func testFrozenSweep(t *testing.T, p *programs) {
	w := newWorld(t, testenv.Postgres(t))
	const key = "tracks/" + eventTrack + "/1-0000000000000001.flac"
	client, flac := w.bucket.Client(), audiotest.FLAC(1, 1)
	write := func() {
		t.Helper()
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &w.bucket.Name, Key: new(key), Body: bytes.NewReader(flac)}); err != nil {
			t.Fatal(err)
		}
	}
	write()
	if err := os.WriteFile(filepath.Join(w.disk, "a.flac"), flac, 0o600); err != nil {
		t.Fatal(err)
	}
	w.exec("INSERT INTO tracks (id, creator_id, title, file_path, file_version) VALUES ($1, $2, 'Nocturne', 'a.flac', 2)", eventTrack, creator)
	w.exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at)
		VALUES ($1, 's3', $2, 'orphaned', now() - interval '30 days')`, eventTrack, key)

	event := w.event("sweep-uploads/events/schedule.json")
	h := newHold(t, w.bucket.Endpoint, func(r *http.Request) bool { return r.URL.Query().Has("versions") && r.URL.Query().Get("prefix") == key })
	frozen := p.serve(t, "sweep-uploads", append(w.env(), "AWS_S3_ENDPOINT="+h.url)...)
	ended := make(chan answer, 1)
	go func() { ended <- frozen.invoke(event, time.Minute) }()
	select {
	case <-h.reached:
	case a := <-ended:
		t.Fatalf("it never looked what is there: %s", a.body)
	}
	if got := w.query("SELECT removed_at IS NOT NULL FROM track_discards WHERE storage_key = $1", key); got != "true" {
		t.Errorf("it looks for what to remove before its mark: %s", got)
	}
	process := frozen.process.Process
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}

	other := p.serve(t, "sweep-uploads", w.env()...)
	if got := other.invoke(event, time.Minute); !strings.Contains(got.body, `"removed":1`) {
		t.Errorf("the other sweep: %s", got.body)
	}
	w.exec("UPDATE track_discards SET discarded_at = discarded_at - interval '30 days', removed_at = removed_at - interval '30 days', gone_at = gone_at - interval '30 days'")
	write()
	w.exec(`UPDATE tracks SET file_version = 1, storage_backend = 's3', storage_key = $2
		WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'`, eventTrack, key)

	h.letGo()
	if err := process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if got := <-ended; got.failed || strings.Contains(got.body, `"removed":1`) {
		t.Errorf("the frozen sweep: %s", got.body)
	}
	if _, err := client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &w.bucket.Name, Key: new(key)}); err != nil {
		t.Errorf("what was written meanwhile: %v", err)
	}
}

// hold is a way to a server that holds the first request of a kind back, before it is carried out.
type hold struct {
	url     string
	reached chan struct{} // closed when it is there
	letGo   func()
}

func newHold(t *testing.T, target string, is func(*http.Request) bool) *hold {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	h := &hold{reached: make(chan struct{}), letGo: sync.OnceFunc(func() { close(gone) })}
	first := sync.OnceFunc(func() {
		close(h.reached)
		<-gone
	})
	// The Host stays: it is signed.
	way := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = to.Scheme, to.Host
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if is(r) {
			first()
		}
		way.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		h.letGo()
		server.Close()
	})
	h.url = server.URL
	return h
}
