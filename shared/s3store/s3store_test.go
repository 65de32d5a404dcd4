package s3store_test

import (
	"net/url"
	"testing"

	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/internal/storetest"
	"trackstore/internal/testenv"
	"trackstore/shared/s3store"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestBackend(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example"
	storetest.Run(t, func(t *testing.T) storetest.Env {
		store, bucket := open(t)
		_, err := bucket.Client().PutBucketCors(t.Context(), &s3.PutBucketCorsInput{
			Bucket: &bucket.Name,
			CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{{
				AllowedOrigins: []string{origin},
				AllowedMethods: []string{"PUT", "POST"},
				AllowedHeaders: []string{"*"},
				ExposeHeaders:  []string{"ETag", "Location"},
			}, {
				AllowedOrigins: []string{"*"},
				AllowedMethods: []string{"GET", "HEAD"},
				ExposeHeaders:  []string{"Content-Range"},
			}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return storetest.Env{Backend: store, Origin: origin}
	})
}

// open returns a store over a bucket of the test's own.
func open(t testing.TB) (*s3store.Store, testenv.Bucket) {
	t.Helper()
	bucket := testenv.S3(t)
	store, err := s3store.New(config(t, bucket))
	if err != nil {
		t.Fatal(err)
	}
	return store, bucket
}

func config(t testing.TB, bucket testenv.Bucket) s3store.Config {
	t.Helper()
	endpoint, err := url.Parse(bucket.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	return s3store.Config{
		Bucket:         bucket.Name,
		Region:         bucket.Region,
		Endpoint:       endpoint,
		ForcePathStyle: true,
		Credentials:    credentials.NewStaticCredentialsProvider(bucket.AccessKey, bucket.SecretKey, ""),
	}
}
