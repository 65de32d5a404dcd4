package functions_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/proxy"
)

// road is a way to a server that can be blocked.
type road struct {
	t     *testing.T
	proxy *toxiproxy.Proxy
	url   string
}

func newRoad(t *testing.T, to string) *road {
	t.Helper()
	p, through := proxy.New(t, to)
	return &road{t, p, through}
}

// block lets no answer through any more: what waits for one waits for ever.
func (r *road) block() {
	r.t.Helper()
	if _, err := r.proxy.Toxics.AddToxicJson(strings.NewReader(`{"name":"block","type":"timeout","attributes":{"timeout":0}}`)); err != nil {
		r.t.Fatal(err)
	}
}

func (r *road) open() {
	r.t.Helper()
	if err := r.proxy.Toxics.RemoveToxic(r.t.Context(), "block"); err != nil {
		r.t.Fatal(err)
	}
}

// A database or an S3 that goes silent, in the middle of a connection, is said to be out of reach before Lambda ends
// the process, and the same process works when it is back.
func testSilence(t *testing.T, p *programs) {
	unavailable := status(http.StatusServiceUnavailable)
	for _, c := range []struct {
		event, away string
		seconds     time.Duration // that Lambda gives
		within      time.Duration // seconds, too
		before      func(*world)
		want        string
		failed      bool
		then        string
	}{
		{"presign-upload/open-put", "database", 28, 12, nil, unavailable, false, status(http.StatusCreated)},
		{"presign-upload/open-multipart", "S3", 28, 12, nil, unavailable, false, status(http.StatusCreated)},
		{"object-created/sqs", "database", 4, 4, (*world).upload, `68cb70"}]}`, false, `[]}`},
		{"object-created/sqs", "S3", 4, 4, (*world).upload, `68cb70"}]}`, false, `[]}`},
		{"migrate-batch/default", "database", 8, 8, onDisk, "see who is at work", true, `"migrated":1`},
		{"migrate-batch/default", "S3", 8, 8, onDisk, "S3 does not answer", true, `"migrated":1`},
		{"sweep-uploads/schedule", "database", 4, 4, (*world).upload, "out of reach", true, `"stored":1`},
		{"sweep-uploads/schedule", "S3", 4, 4, (*world).upload, "reach s3", true, `"stored":1`},
		{"migrate-schema/invoke", "database", 4, 4, nil, "deadline exceeded", true, `"to"`},
	} {
		t.Run(c.event+" without "+c.away, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, testenv.Postgres(t))
			roads := map[string]*road{"database": newRoad(t, w.url), "S3": newRoad(t, w.bucket.Endpoint)}
			function, event, _ := strings.Cut(c.event, "/")
			f := p.serve(t, function, append(w.env(), "DATABASE_URL="+roads["database"].url, "AWS_S3_ENDPOINT="+roads["S3"].url)...)
			content := w.event(function + "/events/" + event + ".json")
			first := content // finds nothing to do yet, and connects
			if function == "presign-upload" {
				first = w.event("presign-upload/events/health.json")
			}
			if got := f.invoke(first, time.Minute); got.failed {
				t.Fatal(got.body)
			}
			if c.before != nil {
				c.before(w)
			}

			roads[c.away].block()
			asked := time.Now()
			got := f.invoke(content, c.seconds*time.Second)
			if got.failed != c.failed || !strings.Contains(got.body, c.want) || time.Since(asked) > c.within*time.Second {
				t.Errorf("after %v: %.500v", time.Since(asked), got)
			}
			if c.want == unavailable && !strings.Contains(got.body, `"Retry-After":"2"`) {
				t.Errorf("nobody is told when to try again: %.500s", got.body)
			}
			roads[c.away].open()
			if got := f.invoke(content, time.Minute); got.failed || !strings.Contains(got.body, c.then) || f.starts != 1 {
				t.Errorf("afterwards, in process %d: %.500v", f.starts, got)
			}
		})
	}
}

// A bucket that is not there, such as one whose name was mistaken, says nothing about the uploads whose bytes are in
// another: none expires.
func testNoBucket(t *testing.T, p *programs) {
	w := newWorld(t, testenv.Postgres(t))
	w.upload()
	w.exec("UPDATE track_uploads SET created_at = now() - interval '2 days', expires_at = now() - interval '1 day'")
	f := p.serve(t, "sweep-uploads", append(w.env(), "AWS_S3_BUCKET=not-there")...)
	if got := f.invoke([]byte("{}"), time.Minute); !got.failed || !strings.Contains(got.body, "NoSuchBucket") {
		t.Errorf("got %+v", got)
	}
	if got := w.query("SELECT state FROM track_uploads"); got != "pending" {
		t.Errorf("the upload is %s", got)
	}
}
