package upload_test

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// BenchmarkOpen opens uploads as clients do: over HTTP, with a JWT, in a real database.
// Beside the rate it prints how many of the SDK's presign calls, which have none of that,
// took the same time here and now.
func BenchmarkOpen(b *testing.B) {
	described = func(_ testing.TB, api http.Handler) http.Handler { return api }
	s := start(b, maxPending(1<<30))
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
	const body = `{"title":"Nocturne","filename":"a.wav","content_type":"audio/wav","size":1000000}`
	open := func(b *testing.B, header http.Header) {
		r, err := http.NewRequest("POST", s.url+"/v1/uploads", strings.NewReader(body))
		if err != nil {
			b.Error(err)
			return
		}
		r.Header = header
		response, err := client.Do(r)
		if err != nil {
			b.Error(err)
			return
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if response.StatusCode != http.StatusCreated {
			b.Error(response.Status)
		}
	}
	presign := s3.NewPresignClient(s.bucket.Client())
	const rounds = 500
	began := time.Now()
	for range rounds {
		if _, err := presign.PresignPutObject(b.Context(), &s3.PutObjectInput{
			Bucket: &s.bucket.Name, Key: aws.String("uploads/x/y.wav"), ContentType: aws.String("audio/wav"), ContentLength: aws.Int64(1000000), IfNoneMatch: aws.String("*"),
		}); err != nil {
			b.Fatal(err)
		}
	}
	bare := time.Since(began) / rounds

	b.SetParallelism(16)
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		// A user each: those of one user wait for each other.
		header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + s.as(track.NewID()).token}}
		for pb.Next() {
			open(b, header)
		}
	})
	each := b.Elapsed() / time.Duration(b.N)
	b.ReportMetric(float64(time.Second)/float64(each), "req/s")
	b.ReportMetric(float64(each)/float64(bare), "SDK-presigns")
}
