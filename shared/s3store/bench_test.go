package s3store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// BenchmarkSign sets each signature beside the SDK's presign client, which signs the same
// PUT in the same run: "sdk/ours" is how many of ours it could have made in its time.
func BenchmarkSign(b *testing.B) {
	keys := credentials.NewStaticCredentialsProvider("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "")
	store, err := s3store.New(s3store.Config{Bucket: "tracks", Region: "eu-central-1", Credentials: keys})
	if err != nil {
		b.Fatal(err)
	}
	sum := track.NewCRC64NVME(1)
	spec := track.PutSpec{
		Key: track.UploadKey(track.NewID(), track.NewID(), "x.flac"), Size: 31457280, ContentType: "audio/flac",
		Checksum: &sum, TTL: 15 * time.Minute,
	}
	presign := s3.NewPresignClient(s3.New(s3.Options{Region: "eu-central-1", Credentials: keys}))
	bucket, anything := "tracks", "*"
	peer := func() error {
		_, err := presign.PresignPutObject(b.Context(), &s3.PutObjectInput{
			Bucket: &bucket, Key: &spec.Key, ContentLength: &spec.Size, ContentType: &spec.ContentType,
			ChecksumCRC64NVME: &sum.Value, IfNoneMatch: &anything,
		}, s3.WithPresignExpires(spec.TTL))
		return err
	}
	for name, sign := range map[string]func() error{
		"SDK": peer,
		"Put": func() error {
			_, err := store.SignPut(b.Context(), spec)
			return err
		},
		"Post": func() error {
			_, err := store.SignPost(b.Context(), spec)
			return err
		},
		"Get": func() error {
			_, err := store.SignGet(b.Context(), track.GetSpec{Key: spec.Key, TTL: spec.TTL})
			return err
		},
		"Part": func() error {
			_, err := store.SignPart(b.Context(), track.PartSpec{Key: spec.Key, MultipartID: "an upload's id", Number: 1, Size: 16 << 20, TTL: spec.TTL})
			return err
		},
	} {
		b.Run(name, func(b *testing.B) {
			// In turns, and the medians: whatever else the machine does takes from both.
			var ours, theirs []time.Duration
			for b.Loop() {
				started := time.Now()
				if err := sign(); err != nil {
					b.Fatal(err)
				}
				between := time.Now()
				if err := peer(); err != nil {
					b.Fatal(err)
				}
				ours, theirs = append(ours, between.Sub(started)), append(theirs, time.Since(between))
			}
			b.ReportMetric(median(ours), "ns/op")
			b.ReportMetric(median(theirs)/median(ours), "sdk/ours")
			b.ReportMetric(testing.AllocsPerRun(100, func() { _ = sign() }), "allocs/op")
		})
	}
}

func median(d []time.Duration) float64 {
	slices.Sort(d)
	return float64(d[len(d)/2])
}
