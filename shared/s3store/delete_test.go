package s3store_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

func TestDeleteLeavesNoVersion(t *testing.T) {
	t.Parallel()
	store, bucket := open(t)
	client := bucket.Client()
	put := func(key string) {
		t.Helper()
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket.Name, Key: &key, Body: bytes.NewReader([]byte(key))})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("a.flac")
	put("a.flac")
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket.Name, Key: aws.String("a.flac")}); err != nil {
		t.Fatal(err) // it only leaves a marker
	}
	put("a.flac")
	put("a.flac2")
	if err := store.Delete(t.Context(), "a.flac"); err != nil {
		t.Fatal(err)
	}
	versions, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &bucket.Name})
	if err != nil {
		t.Fatal(err)
	}
	if len(versions.Versions) != 1 || aws.ToString(versions.Versions[0].Key) != "a.flac2" || len(versions.DeleteMarkers) != 0 {
		t.Errorf("what is left: %+v, %+v", versions.Versions, versions.DeleteMarkers)
	}
}

func TestDeleteWhereNoVersionsAreKept(t *testing.T) {
	t.Parallel()
	_, bucket := open(t)
	bucket.Name += "-plain"
	if _, err := bucket.Client().CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket.Name}); err != nil {
		t.Fatal(err)
	}
	store, err := s3store.New(config(t, bucket))
	if err != nil {
		t.Fatal(err)
	}
	object, err := store.Create(t.Context(), track.ObjectSpec{Key: "a.flac", ContentType: "audio/flac"}, bytes.NewReader(nil))
	if err != nil || object.VersionID != "" {
		t.Fatalf("got %+v, %v", object, err)
	}
	for range 2 {
		if err := store.Delete(t.Context(), "a.flac"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := store.Head(t.Context(), "a.flac", ""); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("got %v", err)
	}
}
