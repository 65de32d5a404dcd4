package ingest_test

import (
	"fmt"
	"testing"
	"time"

	"trackstore/shared/track"
)

// BenchmarkHandle handles a batch of events, and prints what one of them cost beside an
// event that comes alone, in the same run: a batch shares its two statements.
func BenchmarkHandle(b *testing.B) {
	file := wav(1)
	var alone time.Duration // per event
	for _, records := range []int{1, 10, 100, 1000} {
		b.Run(fmt.Sprint(records), func(b *testing.B) {
			r := newRig(b)
			keys := make([]string, records)
			var spent time.Duration
			for b.Loop() {
				b.StopTimer()
				for i := range keys {
					u := r.ticket(track.ID{}, track.S3, file)
					r.send(u, file)
					keys[i] = u.Key
				}
				event := s3Event(r.Bucket.Name, keys...)
				b.StartTimer()
				began := time.Now()
				r.handle(event)
				spent += time.Since(began)
			}
			each := spent / time.Duration(b.N*records)
			if records == 1 {
				alone = each
			}
			b.ReportMetric(float64(each.Microseconds()), "µs/event")
			b.ReportMetric(float64(each)/float64(alone), "x-alone")
		})
	}
}
