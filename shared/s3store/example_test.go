package s3store_test

import (
	"context"
	"fmt"
	"log"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/credentials"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// A URL for one PUT of a file, whose sender needs no credentials. Nothing is asked of S3.
func ExampleStore_SignPut() {
	bucket, err := s3store.New(s3store.Config{
		Bucket: "platform-tracks", Region: "eu-central-1",
		Credentials: credentials.NewStaticCredentialsProvider("AKIAEXAMPLE", "secret", ""),
	})
	if err != nil {
		log.Fatal(err)
	}
	put, err := bucket.SignPut(context.Background(), track.PutSpec{
		Key: "uploads/a/b.flac", Size: 31457280, ContentType: "audio/flac", TTL: 15 * time.Minute,
	})
	if err != nil {
		log.Fatal(err)
	}
	u, err := url.Parse(put.URL)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(u.Host, u.Path)
	fmt.Println(put.Headers["Content-Type"], put.Headers["If-None-Match"])
	// Output:
	// platform-tracks.s3.eu-central-1.amazonaws.com /uploads/a/b.flac
	// audio/flac *
}
