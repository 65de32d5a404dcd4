package devstack

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/devstack/locals3"
)

const formUpload = "(a form)"

// listen returns a server for the hook and what arrives there: keys as a function would read them.
func listen(t *testing.T) (url string, arrived <-chan string) {
	t.Helper()
	keys := make(chan string, 100)
	server := httptest.NewServer(hook(func(body string) {
		var e events.S3Event
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Errorf("not an S3 event: %v: %s", err, body)
			return
		}
		for _, r := range e.Records {
			o := r.S3.Object
			if r.EventName != "ObjectCreated:Put" || strings.Contains(o.ETag, `"`) || r.S3.Bucket.Arn != "arn:aws:s3:::tracks" {
				t.Errorf("not what S3 sends: %s", body)
			}
			keys <- o.URLDecodedKey
		}
	}, func() { keys <- formUpload }))
	t.Cleanup(server.Close)
	return server.URL, keys
}

func TestHookGivesTheEventsOfTheRealServerS3sForm(t *testing.T) {
	t.Parallel()
	url, arrived := listen(t)
	server, err := locals3.Start(t.Context(), locals3.Config{Dir: t.TempDir(), WebhookURL: url, Log: t.Output()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	client := s3.New(s3.Options{
		BaseEndpoint: &server.Endpoint, Region: server.Region, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(server.AccessKey, server.SecretKey, ""),
	})
	bucket := aws.String("tracks")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	keys := []string{"plain.wav", "a b/ü+%20?#&=.wav", "uploads/x y/\"quoted\"'.wav", "日本/🎵~!*().wav"}
	for _, key := range keys {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("bytes")})
		if err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for range keys {
		select {
		case key := <-arrived:
			got = append(got, key)
		case <-time.After(10 * time.Second):
			t.Fatalf("events of %q arrived, of %q were sent", got, keys)
		}
	}
	slices.Sort(got)
	slices.Sort(keys)
	if !slices.Equal(got, keys) {
		t.Errorf("events name %q, want %q", got, keys)
	}
}

func TestHookTakes(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		body   string
		status int
		want   []string
	}{
		"the test event, which has no records": {`{"Service":"S3","Event":"s3:TestEvent","Bucket":"x"}`, http.StatusNoContent, nil},
		"an upload by a form, which has no key": {`{"Records":[{"eventName":"s3:ObjectCreated:Post","s3":{"object":{"key":""}}}]}`,
			http.StatusNoContent, []string{formUpload}},
		"rubbish": {`{`, http.StatusBadRequest, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, arrived := listen(t)
			resp, err := http.Post(url, "application/json", strings.NewReader(test.body))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != test.status {
				t.Errorf("status %d, want %d", resp.StatusCode, test.status)
			}
			var got []string
			for len(arrived) > 0 {
				got = append(got, <-arrived)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("passed on %q, want %q", got, test.want)
			}
		})
	}
}
