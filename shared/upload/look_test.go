package upload_test

import (
	"context"
	"sync"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/shared/ingest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// watched is a storage that counts how often it is asked for each key.
type watched struct {
	ingest.Backend
	mu    sync.Mutex
	heads map[string]int
}

func (w *watched) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	w.mu.Lock()
	w.heads[key]++
	w.mu.Unlock()
	return w.Backend.Head(ctx, key, versionID)
}

// Somebody who is refused again and again does not make the storage work for it.
func TestARefusedOpeningLooksOnceInAWhile(t *testing.T) {
	t.Parallel()
	const open = 20
	storage := &watched{heads: map[string]int{}}
	s := start(t, maxPending(open), func(c *upload.Config) {
		storage.Backend = c.Backends[track.S3].(ingest.Backend)
		c.Confirm = ingest.New(ingest.Config{Uploads: c.Store.(ingest.Uploads), Backends: map[string]ingest.Backend{track.S3: storage}, Log: c.Log})
	})
	for range open {
		s.open(100)
	}
	look := func(want int) {
		t.Helper()
		for _, r := range together(10, func(int) reply { return s.call("POST", "/v1/uploads", file(100)) }) {
			r.refused(429, upload.TooManyPending)
		}
		total := 0
		for key, n := range storage.heads {
			if total += n; n > want {
				t.Errorf("%s was asked for %d times, want %d", key, n, want)
			}
		}
		if total != want*open {
			t.Errorf("asked %d times for %d uploads", total, open)
		}
	}
	look(1)
	look(1)
	s.sql("UPDATE track_uploads SET looked_at = looked_at - interval '11 seconds'")
	look(2)
}

// Who sends many small files one after the other is quicker than their events, and goes on.
func TestManySmallFilesOneAfterTheOther(t *testing.T) {
	t.Parallel()
	s := start(t, maxPending(3))
	content := audiotest.WAV(1, 1)
	for range 14 {
		if r := s.put(s.open(len(content)), content); r.status != 200 {
			t.Fatalf("PUT: %d %s", r.status, r.body)
		}
	}
}
