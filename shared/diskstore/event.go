package diskstore

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// announce tells OnCreate of an object, as S3 would. A crash before it, or a failure,
// leaves an object that nobody was told of; the sweep finds it.
func (s *Store) announce(ctx context.Context, name, key string, got received) {
	if s.cfg.OnCreate == nil {
		return
	}
	// The client may be gone; the bytes are here.
	if err := s.cfg.OnCreate(context.WithoutCancel(ctx), s.event(name, key, got)); err != nil {
		s.cfg.Logger.ErrorContext(ctx, "the event of a stored object was not delivered", "key", key, "err", err)
	}
}

// event is S3's own form, as far as its consumers look at it.
func (s *Store) event(name, key string, got received) []byte {
	type object struct {
		Key       string `json:"key"`
		Size      int64  `json:"size"`
		ETag      string `json:"eTag"`
		Sequencer string `json:"sequencer"`
	}
	type bucket struct {
		Name string `json:"name"`
		ARN  string `json:"arn"`
	}
	type entity struct {
		SchemaVersion string `json:"s3SchemaVersion"`
		Bucket        bucket `json:"bucket"`
		Object        object `json:"object"`
	}
	type record struct {
		EventVersion string `json:"eventVersion"`
		EventSource  string `json:"eventSource"`
		Region       string `json:"awsRegion"`
		Time         string `json:"eventTime"`
		Name         string `json:"eventName"`
		S3           entity `json:"s3"`
	}
	now := time.Now().UTC()
	event, _ := json.Marshal(map[string][]record{"Records": {{ // strings and numbers: it cannot fail
		EventVersion: "2.1",
		EventSource:  "aws:s3",
		Region:       "local",
		Time:         now.Format("2006-01-02T15:04:05.000Z"),
		Name:         name,
		S3: entity{
			SchemaVersion: "1.0",
			Bucket:        bucket{s.Bucket(), "arn:aws:s3:::" + s.Bucket()},
			Object:        object{escapeKey(key), got.size, got.etag, s.sequencer(now)},
		},
	}}})
	return event
}

// sequencer grows from event to event, and from process to process as far as clocks do.
func (s *Store) sequencer(now time.Time) string {
	for {
		last := s.sequence.Load()
		next := max(now.UnixNano(), last+1)
		if s.sequence.CompareAndSwap(last, next) {
			return fmt.Sprintf("%016X", next)
		}
	}
}

// escapeKey escapes a key as S3's events have it: like a form's field, but for the slashes.
func escapeKey(key string) string { return strings.ReplaceAll(url.QueryEscape(key), "%2F", "/") }
