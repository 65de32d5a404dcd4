package sweep_test

import (
	"testing"
	"time"

	"trackstore/bench/delay"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

// BenchmarkRemoval measures how fast a sweep removes what deleted tracks leave, with an S3 server whose answers are held back
// by 30 ms, which is about what S3 takes for a deletion. Each of the tracks has an object of its own.
//
//	go test -run=^$ -bench=Removal -benchtime=1x ./shared/sweep
func BenchmarkRemoval(b *testing.B) {
	const tracks = 2000
	r := newRig(b)
	far, err := delay.New(r.Bucket.DirectEndpoint, 30*time.Millisecond)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = far.Close() })
	distant := r.Bucket
	distant.Endpoint = far.URL
	r.config.Backends[track.S3] = stores.OpenS3(b, distant)
	for b.Loop() {
		b.StopTimer()
		for range tracks {
			key := track.UploadKey(track.NewID(), track.NewID(), "x.wav")
			r.put(track.S3, key)
			r.Exec(`UPDATE tracks SET deleted_at = now() - interval '60 days' WHERE id = $1`, r.Track(key, ""))
		}
		b.StartTimer()
		if got := r.sweep(); got.Removed != tracks {
			b.Fatalf("%+v", got)
		}
	}
	b.ReportMetric(tracks*float64(b.N)/b.Elapsed().Seconds(), "tracks/s")
	b.ReportMetric(0, "ns/op")
}
