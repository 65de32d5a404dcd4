package upload_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// together makes n calls at once.
func together[T any](n int, call func(i int) T) []T {
	out := make([]T, n)
	begin := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-begin
			out[i] = call(i)
		})
	}
	close(begin)
	wg.Wait()
	return out
}

func maxPending(n int) func(*upload.Config) {
	return func(c *upload.Config) { c.Limits.MaxPending = n }
}

func TestTheLimitHoldsUnderConcurrentRequests(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(7))
	statuses := map[int]int{}
	for _, r := range together(100, func(int) reply { return s.call("POST", "/v1/uploads", file(100)) }) {
		statuses[r.status]++
		if r.status != 201 {
			r.refused(429, upload.TooManyPending)
		}
	}
	if statuses[201] != 7 || statuses[429] != 93 {
		t.Errorf("answers: %v", statuses)
	}
	if n := s.sql("SELECT count(*) FROM tracks"); n != "7" {
		t.Errorf("%s tracks", n)
	}
	s.as(track.NewID()).open(100)
}

func TestWhatIsOverFreesItsPlace(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(1))
	full := func() { t.Helper(); s.call("POST", "/v1/uploads", file(100)).refused(429, upload.TooManyPending) }

	o := s.open(100)
	full()
	s.call("DELETE", "/v1/uploads/"+o.str("upload_id"), nil).want(204)

	o = s.open(100)
	full()
	s.sql("UPDATE track_uploads SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE id = $1", o.str("upload_id"))
	if s.open(100); s.sql("SELECT state FROM track_uploads WHERE id = $1", o.str("upload_id")) != "pending" {
		t.Error("an overdue upload lost its state without a look at its bytes")
	}
}

// Who chooses URLs of a short life does not wait for minutes until their tickets are over.
func TestATicketEndsSoonAfterItsURL(t *testing.T) {
	t.Parallel()
	for ttl, want := range map[time.Duration]time.Duration{2 * time.Second: 4 * time.Second, time.Hour: 65 * time.Minute} {
		s := start(t, func(c *upload.Config) { c.Limits.URLTTL = ttl })
		for _, method := range []string{"put", "post"} {
			o := s.open(100, "method", method)
			life := s.sql("SELECT (expires_at - created_at)::text FROM track_uploads WHERE id = $1", o.str("upload_id"))
			if got, err := time.Parse("15:04:05", life); err != nil || got.Sub(got.Truncate(24*time.Hour)) != want {
				t.Errorf("URL %v, %s: the ticket lives %s", ttl, method, life)
			}
		}
	}
}

// Small files come faster than their events: an upload whose bytes are there is settled
// rather than counted.
func TestBytesThatCameDoNotCount(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(2))
	content := audiotest.WAV(1, 1)
	abandoned := s.open(len(content))
	for i := range 5 {
		o := s.open(len(content))
		if r := s.put(o, content); r.status != 200 {
			t.Fatalf("file %d: %d %s", i, r.status, r.body)
		}
	}
	if n := s.sql("SELECT count(*) FROM track_uploads WHERE state = 'stored'"); n != "4" {
		t.Errorf("%s stored, want all but the last", n)
	}
	s.call("GET", "/v1/uploads/"+abandoned.str("upload_id"), nil).want(200)
}

func TestAnIdempotencyKeyGivesTheSameUpload(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		for _, method := range []string{"put", "post", "multipart"} {
			key := "key-" + method
			first := s.call("POST", "/v1/uploads", file(100, "method", method), "Idempotency-Key", key).want(201)
			again := s.call("POST", "/v1/uploads", file(100, "method", method), "Idempotency-Key", key).want(201)
			for _, name := range []string{"upload_id", "track_id", "state", "expires_at"} {
				if first[name] != again[name] {
					t.Errorf("%s: %s is %v, then %v", method, name, first[name], again[name])
				}
			}
			if again[method] == nil {
				t.Errorf("%s: nothing is signed the second time: %v", method, again)
			}
		}
		if n := s.sql("SELECT count(*) FROM track_uploads"); n != "3" {
			t.Errorf("%s uploads", n)
		}
		spelled := `{ "size":100, "method":"put", "content_type":"audio/wav", "filename":"take 3 (final).wav", "title":"\u004eocturne" }`
		s.call("POST", "/v1/uploads", spelled, "Idempotency-Key", "key-put").want(201)
		s.call("POST", "/v1/uploads", file(101, "method", "put"), "Idempotency-Key", "key-put").refused(409, upload.IdempotencyConflict)
		s.as(track.NewID()).call("POST", "/v1/uploads", file(101), "Idempotency-Key", "key-put").want(201)
	})
}

func TestAnIdempotencyKeyHoldsUnderConcurrentRequests(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		ids := map[string]bool{}
		for _, r := range together(30, func(int) reply {
			return s.call("POST", "/v1/uploads", file(100, "method", "multipart"), "Idempotency-Key", "k")
		}) {
			o := r.want(201)
			ids[o.str("upload_id")+o.obj("multipart").list("parts")[0].str("upload_id")] = true
			if !strings.Contains(o.obj("multipart").list("parts")[0].str("url"), s.sql("SELECT multipart_id FROM track_uploads")) {
				t.Error("a part is signed for a multipart upload that the row does not have")
			}
		}
		if len(ids) != 1 {
			t.Errorf("%d uploads", len(ids))
		}
		if n := s.multiparts(); n != 1 {
			t.Errorf("%d multipart uploads are left on the backend", n)
		}
	}, maxPending(1))
}

func TestWhatAnIdempotencyKeyMayBe(t *testing.T) {
	t.Parallel()
	s := start(t)
	s.call("POST", "/v1/uploads", file(100), "Idempotency-Key", strings.Repeat("~", 255)).want(201)
	for _, key := range []string{"", " ", "a b", "a\tb", "ä", strings.Repeat("a", 256)} {
		s.call("POST", "/v1/uploads", file(100), "Idempotency-Key", key).refused(422, upload.InvalidRequest, "Idempotency-Key")
	}
	r, _ := http.NewRequestWithContext(t.Context(), "POST", s.url+"/v1/uploads", strings.NewReader(`{"title":"a","filename":"a.wav","content_type":"audio/wav","size":1}`))
	r.Header = http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}, "Idempotency-Key": {"a", "b"}}
	send(t, r).refused(422, upload.InvalidRequest, "Idempotency-Key")
}

func TestAnIdempotencyKeyEndsWithItsUpload(t *testing.T) {
	t.Parallel()
	s := start(t)
	content := audiotest.WAV(1, 1)
	open := func(key string, size int) answer {
		t.Helper()
		return s.call("POST", "/v1/uploads", file(size), "Idempotency-Key", key).want(201)
	}

	aborted := open("a", 100)
	s.call("DELETE", "/v1/uploads/"+aborted.str("upload_id"), nil).want(204)
	overdue := open("o", 100)
	s.sql("UPDATE track_uploads SET created_at = now() - interval '2 hours', expires_at = now() - interval '1 hour' WHERE id = $1", overdue.str("upload_id"))
	failed := open("f", 5)
	s.put(failed, []byte("hello"))
	s.complete(failed, nil).want(200)
	for key, before := range map[string]answer{"a": aborted, "o": overdue, "f": failed} {
		if after := open(key, 101); after["upload_id"] == before["upload_id"] {
			t.Errorf("key %s: the same upload", key)
		}
	}

	stored := open("s", len(content))
	s.put(stored, content)
	s.complete(stored, nil).want(200)
	again := open("s", len(content))
	if again["upload_id"] != stored["upload_id"] || again["state"] != "stored" || again["put"] == nil {
		t.Errorf("repeated after it was stored: %v", again)
	}
	if r := s.put(again, content); r.status != http.StatusPreconditionFailed {
		t.Errorf("a PUT by the fresh URL: %d", r.status)
	}
	s.call("POST", "/v1/uploads", file(3), "Idempotency-Key", "s").refused(409, upload.IdempotencyConflict)

	// What is deleted is not stored: whoever sends the file again wants a new track.
	replaced := s.call("POST", "/v1/uploads", file(100, "title", nil, "track_id", stored.str("track_id")), "Idempotency-Key", "r").want(201)
	s.call("DELETE", "/v1/tracks/"+stored.str("track_id"), nil).want(204)
	if after := open("s", len(content)); after["track_id"] == stored["track_id"] || after["state"] != "pending" {
		t.Errorf("repeated after the track was deleted: %v", after)
	}
	s.call("POST", "/v1/uploads", file(100, "title", nil, "track_id", replaced.str("track_id")), "Idempotency-Key", "r").refused(404, upload.NotFound)
}

// A multipart that cannot be begun frees its place and its key.
func TestABackendThatFailsLeavesNothingOpen(t *testing.T) {
	t.Parallel()
	broken := &failing{}
	s := start(t, maxPending(1), func(c *upload.Config) {
		broken.Backend = c.Backends[track.S3]
		c.Backends = map[string]upload.Backend{track.S3: broken}
	})
	for _, err := range []error{track.ErrUnavailable, track.ErrThrottled} {
		broken.create = err
		s.call("POST", "/v1/uploads", file(100, "method", "multipart"), "Idempotency-Key", "k").refused(503, upload.Unavailable)
	}
	broken.create = errors.New("secret plumbing")
	r := s.call("POST", "/v1/uploads", file(100, "method", "multipart"))
	r.refused(500, upload.Internal)
	if strings.Contains(string(r.body), "plumbing") || !strings.Contains(s.log.String(), "secret plumbing") {
		t.Errorf("the client is told %s", r.body)
	}
	broken.create = nil
	s.call("POST", "/v1/uploads", file(100, "method", "multipart"), "Idempotency-Key", "k").want(201)
}

// failing injects errors into a real backend, before a call or after it.
type failing struct {
	upload.Backend
	create, complete, completed error
}

func (f *failing) CreateMultipart(ctx context.Context, key, contentType string, declared *track.Checksum) (string, error) {
	if f.create != nil {
		return "", fmt.Errorf("create %s: %w", key, f.create)
	}
	return f.Backend.CreateMultipart(ctx, key, contentType, declared)
}

func (f *failing) CompleteMultipart(ctx context.Context, key, id string, size int64, parts []track.Part) error {
	if f.complete != nil {
		return f.complete
	}
	if err := f.Backend.CompleteMultipart(ctx, key, id, size, parts); err != nil {
		return err
	}
	return f.completed
}
