package s3store_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

// One request tells of an object what HEAD does, and gives its bytes as they are stored.
func TestReadDescribesAndReads(t *testing.T) {
	t.Parallel()
	bucket := testenv.S3(t)
	store := stores.OpenS3(t, bucket)
	for _, encoding := range []*string{nil, aws.String("gzip")} {
		key, content := track.UploadKey(track.NewID(), track.NewID(), "ü x.wav"), bytes.Repeat([]byte("no gzip at all "), 5000)
		if _, err := bucket.Client().PutObject(t.Context(), &s3.PutObjectInput{
			Bucket: &bucket.Name, Key: &key, Body: bytes.NewReader(content), ContentEncoding: encoding, ContentType: aws.String("audio/wav"),
		}); err != nil {
			t.Fatal(err)
		}
		object, body, err := store.Read(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(body)
		body.Close()
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if head, err := store.Head(t.Context(), key, ""); err != nil || !reflect.DeepEqual(object, head) || object.VersionID == "" {
			t.Errorf("read as %+v, HEAD says %+v, %v", object, head, err)
		}
	}
	if _, _, err := store.Read(t.Context(), "tracks/nothing"); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("nothing: %v", err)
	}
}
