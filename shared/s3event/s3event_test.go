package s3event_test

import (
	"encoding/json"
	"testing"

	"github.com/aws/aws-lambda-go/events"

	"trackstore/shared/s3event"
)

func TestWhatConsumersReadOfAnEvent(t *testing.T) {
	t.Parallel()
	const key = "uploads/a b/ü+%20?#&=~!*().wav"
	c := s3event.Created{How: "Put", Region: "eu-central-1", Bucket: "tracks", Key: key, Size: 5, ETag: "0123", VersionID: "v"}
	var last string
	for range 3 {
		var event events.S3Event
		if err := json.Unmarshal(c.JSON(), &event); err != nil {
			t.Fatal(err)
		}
		r := event.Records[0]
		o := r.S3.Object
		if r.EventName != "ObjectCreated:Put" || r.AWSRegion != "eu-central-1" || r.S3.Bucket.Name != "tracks" ||
			r.S3.Bucket.Arn != "arn:aws:s3:::tracks" || r.EventTime.IsZero() ||
			o.URLDecodedKey != key || o.Size != 5 || o.ETag != "0123" || o.VersionID != "v" {
			t.Errorf("%+v", r)
		}
		if o.Sequencer <= last {
			t.Errorf("the sequencer went from %q to %q", last, o.Sequencer)
		}
		last = o.Sequencer
	}
}

func FuzzKey(f *testing.F) {
	for _, key := range []string{"uploads/a b.wav", "a+b", "%20", "%2F/", "ü\u2028", "\x00\n\"\\", "</script>", ""} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		var event events.S3Event
		if err := json.Unmarshal(s3event.Created{Key: key}.JSON(), &event); err != nil {
			t.Fatal(err)
		}
		if got := event.Records[0].S3.Object.URLDecodedKey; got != key {
			t.Errorf("%q is read as %q", key, got)
		}
	})
}
