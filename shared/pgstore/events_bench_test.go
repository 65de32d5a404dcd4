package pgstore_test

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/ingest"
	"trackstore/shared/track"
)

// BenchmarkEventsCost opens uploads, sends their bytes and settles them, with the events that they leave and without, in
// turns in one run. It prints what it takes to open and to settle one with events, and that over what it takes without: the
// median of pairs, so that what else the machine does counts for both.
func BenchmarkEventsCost(b *testing.B) {
	for _, batch := range []int{1, 10, 100} {
		b.Run(fmt.Sprint("batch=", batch), func(b *testing.B) {
			with, without := stores.New(b), stores.New(b)
			without.Store.WithoutEvents()
			var ratios, took []float64
			for turn := 0; b.Loop(); turn++ {
				both := []stores.Set{with, without}
				if turn%2 == 1 {
					slices.Reverse(both)
				}
				times := []time.Duration{openAndSettle(b, both[0], batch), openAndSettle(b, both[1], batch)}
				if turn%2 == 1 {
					slices.Reverse(times)
				}
				ratios, took = append(ratios, float64(times[0])/float64(times[1])), append(took, times[0].Seconds()*1e3/float64(batch))
			}
			slices.Sort(ratios)
			slices.Sort(took)
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(took[len(took)/2], "ms/upload")
			b.ReportMetric(ratios[len(ratios)/2], "×without")
		})
	}
}

// openAndSettle returns what that takes; what S3 takes to store the bytes is not counted.
func openAndSettle(b *testing.B, s stores.Set, batch int) time.Duration {
	b.Helper()
	ingester := ingest.New(ingest.Config{Uploads: s.Store, Backends: map[string]ingest.Backend{track.S3: s.S3}, Log: slog.New(slog.DiscardHandler)})
	began := time.Now()
	ids, keys := make([]track.ID, batch), make([]string, batch)
	for i := range ids {
		u := s.Ticket(track.ID{}, track.S3)
		ids[i], keys[i] = u.ID, u.Key
	}
	took := time.Since(began)
	for _, key := range keys {
		s.Put(track.S3, key, wavFile)
	}
	began = time.Now()
	settled, err := ingester.ConfirmEach(b.Context(), ids, false)
	took += time.Since(began)
	if err != nil || len(settled) != batch || settled[0].State != track.UploadStored {
		b.Fatalf("%+v, %v", settled, err)
	}
	return took
}

var wavFile = audiotest.WAV(1, 1)[:8000]
