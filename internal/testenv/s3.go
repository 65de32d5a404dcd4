package testenv

import (
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"trackstore/internal/devstack/locals3"
)

// Bucket is a versioned bucket of a test's own, and how to reach it. Its server wants path-style requests.
type Bucket struct {
	Name           string
	Endpoint       string // refuses bodies that are cut off, as S3 does
	DirectEndpoint string // the server without that guard, for measurements
	Region         string
	AccessKey      string
	SecretKey      string
}

var s3Server = server[*locals3.Server]{start: startS3}

func startS3(ctx context.Context, dir string) (*locals3.Server, func(context.Context) error, error) {
	// The server's first build takes minutes: say so where somebody waits.
	if _, err := locals3.Build(ctx, os.Stderr); err != nil {
		return nil, nil, err
	}
	s, err := locals3.Start(ctx, locals3.Config{Dir: filepath.Join(dir, "s3")})
	if err != nil {
		return nil, nil, err
	}
	return s, s.Stop, nil
}

var notInBucketName = regexp.MustCompile(`[^a-z0-9]+`)

// S3 returns a bucket that is removed, with all that is in it, when the test ends.
func S3(t testing.TB) Bucket {
	t.Helper()
	server := s3Server.get(t)
	name := strings.Trim(notInBucketName.ReplaceAllString(strings.ToLower(t.Name()), "-"), "-")
	name = strings.Trim(name[:min(len(name), 40)], "-") + "-" + strings.ToLower(rand.Text()[:8])
	b := Bucket{
		Name: name, Endpoint: server.Endpoint, DirectEndpoint: server.DirectEndpoint,
		Region: server.Region, AccessKey: server.AccessKey, SecretKey: server.SecretKey,
	}

	client := b.Client()
	_, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &b.Name})
	if err != nil {
		t.Fatal("testenv: create a bucket:", err)
	}
	t.Cleanup(func() { b.Clear(t, ".") })
	_, err = client.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket:                  &b.Name,
		VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal("testenv: switch versioning on:", err)
	}
	return b
}

// Clear removes all objects below a folder of the bucket, or the bucket where that is ".". Straight from the server's
// disk: nothing else frees the space of every version and part at once.
func (b Bucket) Clear(t testing.TB, folder string) {
	t.Helper()
	server := s3Server.get(t)
	for _, dir := range []string{server.BucketsDir, server.VersionsDir} {
		if err := os.RemoveAll(filepath.Join(dir, b.Name, folder)); err != nil {
			t.Error("testenv: clear the bucket:", err)
		}
	}
}

// Client is an S3 client of the SDK for the bucket's server, for what a test does or checks behind the back of the
// code under test.
func (b Bucket) Client() *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: aws.String(b.Endpoint),
		Region:       b.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(b.AccessKey, b.SecretKey, ""),
		UsePathStyle: true,
	})
}
