package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/auth"
	"trackstore/shared/client"
	"trackstore/shared/config"
	"trackstore/shared/ingest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// stage is a server over real stores, and a client whose requests a test can meddle with.
type stage struct {
	stores.Set
	*client.Client
	meddle func(*http.Request) (*http.Response, error) // called before a PUT is sent; nil, nil: it is sent

	mu   sync.Mutex
	puts map[string]int // that were taken, by path and part
}

func start(t *testing.T, urlTTL time.Duration) *stage {
	t.Helper()
	s := &stage{Set: stores.New(t), puts: make(map[string]int)}
	secret := config.Auth{Secret: config.NewSecret("0123456789abcdef0123456789abcdef")}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	server := httptest.NewServer(upload.New(upload.Config{
		Limits: upload.Limits{MaxBytes: 1 << 30, SingleMaxBytes: 4 << 20, URLTTL: urlTTL, TTL: time.Hour, MaxPending: 50, PlaybackURLTTL: time.Hour},
		Auth:   auth.New(secret), Store: s.Store, NewFiles: track.S3, Log: log,
		Confirm:  ingest.New(ingest.Config{Uploads: s.Store, Backends: map[string]ingest.Backend{track.S3: s.S3}, Log: log}),
		Backends: map[string]upload.Backend{track.S3: s.S3},
	}))
	t.Cleanup(server.Close)
	token, err := auth.Sign(secret, stores.Owner, time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	s.Client = client.New(server.URL, token, client.Options{HTTP: &http.Client{Transport: s}, Parallel: 1, GiveUp: time.Minute})
	return s
}

// RoundTrip implements http.RoundTripper.
func (s *stage) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodPut {
		return http.DefaultTransport.RoundTrip(r)
	}
	if s.meddle != nil {
		if answer, err := s.meddle(r); answer != nil || err != nil {
			return answer, err
		}
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err == nil && answer.StatusCode == http.StatusOK {
		s.mu.Lock()
		s.puts[r.URL.Path+"#"+r.URL.Query().Get("partNumber")]++
		s.mu.Unlock()
	}
	return answer, err
}

// send uploads a file of the size that it has now, always by the same key.
func (s *stage) send(ctx context.Context, file io.ReaderAt, size int64) (client.Upload, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second) // where it would be tried again for longer
	defer cancel()
	return s.Send(ctx, "key", client.Request{Title: "Nocturne", Filename: "a.wav", ContentType: "audio/wav", Size: size}, file, nil)
}

// isStored fails the test unless the upload is stored with content.
func (s *stage) isStored(u client.Upload, err error, content []byte) {
	s.T.Helper()
	if err != nil || u.State != track.UploadStored {
		s.T.Fatalf("%+v, %v", u, err)
	}
	body, err := s.S3.Open(s.T.Context(), "uploads/"+u.TrackID+"/"+u.ID+".wav", "", 0, -1)
	if err != nil {
		s.T.Fatal(err)
	}
	defer body.Close()
	if got, err := io.ReadAll(body); err != nil || !bytes.Equal(got, content) {
		s.T.Errorf("%d other bytes are stored, %v", len(got), err)
	}
}

// small is sent by one PUT, large in parts.
var small, large = audiotest.WAV(1, 1), audiotest.WAV(600, 1)

func TestAnExpiredURLIsAskedForAnew(t *testing.T) {
	t.Parallel()
	for name, content := range map[string][]byte{"put": small, "parts": large} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, 2*time.Second)
			var late sync.Once
			s.meddle = func(*http.Request) (*http.Response, error) {
				late.Do(func() { time.Sleep(4200 * time.Millisecond) }) // past the ticket of a put, too
				return nil, nil
			}
			u, err := s.send(t.Context(), bytes.NewReader(content), int64(len(content)))
			s.isStored(u, err, content)
		})
	}
}

func TestOnlyMissingPartsAreSentAgain(t *testing.T) {
	t.Parallel()
	s := start(t, time.Hour)
	for killed := 1; killed <= 3; killed++ {
		ctx, kill := context.WithCancel(t.Context())
		s.meddle = func(r *http.Request) (*http.Response, error) {
			if len(s.puts) < killed {
				return nil, nil
			}
			_, _ = io.CopyN(io.Discard, r.Body, 1<<20)
			kill()
			return nil, ctx.Err()
		}
		if _, err := s.send(ctx, bytes.NewReader(large), int64(len(large))); !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	s.meddle = nil
	u, err := s.send(t.Context(), bytes.NewReader(large), int64(len(large)))
	s.isStored(u, err, large)
	if len(s.puts) != 4 {
		t.Errorf("%d parts", len(s.puts))
	}
	for part, n := range s.puts {
		if n != 1 {
			t.Errorf("%s was sent %d times", part, n)
		}
	}
}

// The bytes came, their event did, and only the answer was lost: a URL for what is stored
// already is good for a second, and a slow line takes longer than that.
func TestWhatIsStoredMeanwhileIsNotSentAgain(t *testing.T) {
	t.Parallel()
	s, tries := start(t, time.Hour), 0
	s.meddle = func(r *http.Request) (*http.Response, error) {
		if tries++; tries > 1 {
			return answer(403, "application/xml", "<Error><Message>Request has expired</Message></Error>"), nil
		}
		sent, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			return nil, err
		}
		_ = sent.Body.Close()
		if _, err := s.Complete(t.Context(), strings.TrimSuffix(path.Base(r.URL.Path), ".wav"), nil); err != nil {
			t.Error(err)
		}
		return nil, errors.New("connection reset")
	}
	u, err := s.send(t.Context(), bytes.NewReader(small), int64(len(small)))
	s.isStored(u, err, small)
}

// disk is a file that turns bad.
type disk struct {
	content []byte
	err     error
}

func (d *disk) ReadAt(p []byte, offset int64) (int, error) {
	if d.err != nil {
		return 0, d.err
	}
	return bytes.NewReader(d.content).ReadAt(p, offset)
}

func TestAFileThatTurnsBad(t *testing.T) {
	t.Parallel()
	broken := errors.New("input/output error")
	for method, content := range map[string][]byte{"put": small, "parts": large} {
		for name, c := range map[string]struct {
			turn  func(*disk)
			fails func(client.Upload, error) bool
		}{
			"unreadable": {
				func(d *disk) { d.err = broken },
				func(_ client.Upload, err error) bool { return errors.Is(err, broken) },
			},
			"shorter": {
				func(d *disk) { d.content = d.content[:1000] },
				func(_ client.Upload, err error) bool { return errors.Is(err, client.ErrChanged) },
			},
			"other bytes": {
				func(d *disk) { d.content = bytes.Clone(d.content); d.content[len(d.content)-1]++ },
				func(u client.Upload, err error) bool {
					var p *client.Problem // of the storage, which compares a PUT itself
					return u.State == track.UploadFailed && u.Reason == track.ChecksumMismatch || errors.As(err, &p) && p.Status == http.StatusBadRequest
				},
			},
		} {
			t.Run(method+" "+name, func(t *testing.T) {
				t.Parallel()
				s, file := start(t, time.Hour), &disk{content: content}
				s.meddle = func(*http.Request) (*http.Response, error) { c.turn(file); return nil, nil }
				if u, err := s.send(t.Context(), file, int64(len(content))); !c.fails(u, err) || t.Context().Err() != nil {
					t.Errorf("%+v, %v", u, err)
				}
				var ready bool
				if err := s.DB.QueryRow(t.Context(), "SELECT bool_or(status = 'ready') FROM tracks").Scan(&ready); err != nil || ready {
					t.Errorf("the track is ready, %v", err)
				}
			})
		}
	}
}

// What an interrupted run has sent is not mixed with what the file is now.
func TestAFileThatChangedBetweenTwoRuns(t *testing.T) {
	t.Parallel()
	s := start(t, time.Hour)
	ctx, kill := context.WithCancel(t.Context())
	s.meddle = func(*http.Request) (*http.Response, error) {
		if len(s.puts) > 0 {
			kill()
		}
		return nil, nil
	}
	_, _ = s.send(ctx, bytes.NewReader(large), int64(len(large)))
	s.meddle = nil
	other := audiotest.WAV(600, 2)
	var p *client.Problem
	if u, err := s.send(t.Context(), bytes.NewReader(other), int64(len(other))); !errors.As(err, &p) || p.Code != "idempotency_conflict" {
		t.Errorf("%+v, %v", u, err)
	}
}

// The storage's refusals that are worth another try, and the others.
func TestRefusalsOfTheStorage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ status, times, tries int }{
		{403, 1, 2}, {403, 9, 2}, // the URL has run out; it is refused
		{400, 1, 2}, {400, 9, 2}, // the body was cut off; it is refused
		{409, 2, 3}, // an earlier try is at work
		{429, 2, 3}, {500, 2, 3}, {503, 2, 3},
		{404, 9, 1}, {411, 9, 1},
	} {
		s, tries := start(t, time.Hour), 0
		s.meddle = func(*http.Request) (*http.Response, error) {
			if tries++; tries > c.times {
				return nil, nil
			}
			return answer(c.status, "application/xml", "<Error><Message>No, thanks</Message></Error>"), nil
		}
		u, err := s.send(t.Context(), bytes.NewReader(small), int64(len(small)))
		if tries != c.tries {
			t.Errorf("%d, %d times: tried %d times", c.status, c.times, tries)
		}
		if c.times < c.tries {
			s.isStored(u, err, small)
		} else if err == nil || !strings.Contains(err.Error(), "No, thanks") {
			t.Errorf("%d: %v", c.status, err)
		}
	}
}

func answer(status int, contentType, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {contentType}}, Body: io.NopCloser(strings.NewReader(body))}
}
