package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"trackstore/internal/audiotest"
)

// BenchmarkEventLatency uploads 50 files a second to a local stack for twenty seconds, and prints how long after its flip
// a track's event was at a webhook.
//
//	go test -run=^$ -bench=EventLatency -benchtime=1x ./cmd/trackstore
func BenchmarkEventLatency(b *testing.B) {
	const rate, span = 50, 20 * time.Second
	for b.Loop() {
		heard := make(chan time.Duration, 10_000)
		hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			var event struct{ Time time.Time }
			if body, err := io.ReadAll(r.Body); err == nil && json.Unmarshal(body, &event) == nil {
				heard <- time.Since(event.Time)
			}
		}))
		defer hook.Close()
		s := start(b, filepath.Join(b.TempDir(), "dev"), "EVENTS_WEBHOOK_URL="+hook.URL,
			"EVENTS_WEBHOOK_SECRET=whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=", "UPLOAD_MAX_PENDING=1000")
		content := audiotest.WAV(1, 1)
		var sending sync.WaitGroup
		ticks := time.NewTicker(time.Second / rate)
		for range rate * int(span.Seconds()) {
			<-ticks.C
			sending.Go(func() { s.uploadOne(b, content) })
		}
		ticks.Stop()
		sending.Wait()
		waits := make([]time.Duration, rate*int(span.Seconds()))
		for i := range waits {
			select {
			case waits[i] = <-heard:
			case <-time.After(30 * time.Second):
				b.Fatalf("%d of %d events came", i, len(waits))
			}
		}
		slices.Sort(waits)
		b.ReportMetric(waits[len(waits)/2].Seconds()*1e3, "p50-ms")
		b.ReportMetric(waits[len(waits)*99/100].Seconds()*1e3, "p99-ms")
		b.ReportMetric(waits[len(waits)-1].Seconds()*1e3, "max-ms")
	}
	b.ReportMetric(0, "ns/op")
}

// uploadOne sends a file, and leaves the rest to its event.
func (s *localStack) uploadOne(b *testing.B, content []byte) {
	ticket := s.call("POST", "/v1/uploads", fmt.Sprintf(`{"title":"Nocturne","filename":"take 1.wav","size":%d}`, len(content)), http.StatusCreated)
	put := ticket["put"].(map[string]any)
	r, err := http.NewRequestWithContext(b.Context(), http.MethodPut, put["url"].(string), bytes.NewReader(content))
	if err != nil {
		b.Error(err)
		return
	}
	for name, value := range put["headers"].(map[string]any) {
		r.Header.Set(name, value.(string))
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Error(err)
		return
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		b.Errorf("PUT: %s", answer.Status)
	}
}
