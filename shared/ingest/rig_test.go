package ingest_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/ingest"
	"trackstore/shared/metrics"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig is an Ingester over real stores.
type rig struct {
	stores.Set
	*ingest.Ingester
	metrics *bytes.Buffer
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{Set: stores.New(t), metrics: &bytes.Buffer{}}
	r.Ingester = r.over(r.Store, r.S3)
	return r
}

// over is an Ingester over other parts, faulty ones for instance.
func (r *rig) over(uploads ingest.Uploads, bucket ingest.Backend) *ingest.Ingester {
	return ingest.New(ingest.Config{
		Uploads:  uploads,
		Backends: map[string]ingest.Backend{track.S3: bucket, track.Local: r.Disk},
		Log:      slog.New(slog.NewTextHandler(r.T.Output(), nil)),
		Metrics:  metrics.New(r.metrics, "test"),
	})
}

// ticket opens an upload of file for a track, a new one where trackID is zero.
func (r *rig) ticket(trackID track.ID, backend string, file []byte, change ...func(*track.Ticket)) track.Upload {
	r.T.Helper()
	size := func(t *track.Ticket) { t.Size = int64(len(file)) }
	return r.Ticket(trackID, backend, append([]func(*track.Ticket){size}, change...)...)
}

func declared(sum track.Checksum) func(*track.Ticket) {
	return func(t *track.Ticket) { t.Checksum = &sum }
}

// send puts file where u's client would.
func (r *rig) send(u track.Upload, file []byte) {
	r.T.Helper()
	var err error
	if u.Backend == track.S3 {
		_, err = r.Bucket.Client().PutObject(r.T.Context(), &s3.PutObjectInput{
			Bucket: &r.Bucket.Name, Key: &u.Key, Body: bytes.NewReader(file), ContentType: &u.ContentType,
		})
	} else {
		_, err = r.Disk.Create(r.T.Context(), track.ObjectSpec{Key: u.Key, ContentType: u.ContentType, Digest: track.Digest{Size: int64(len(file)), CRC64NVME: crc(file)}}, bytes.NewReader(file))
	}
	if err != nil {
		r.T.Fatal(err)
	}
}

func (r *rig) bucketOf(u track.Upload) string {
	if u.Backend == track.S3 {
		return r.Bucket.Name
	}
	return r.Disk.Bucket()
}

// s3Event is an event of S3 with a record for each key, which are escaped as given.
func s3Event(bucket string, keys ...string) []byte {
	return s3EventNamed("ObjectCreated:Put", bucket, keys...)
}

func s3EventNamed(name, bucket string, keys ...string) []byte {
	records := []any{}
	for _, key := range keys {
		records = append(records, map[string]any{
			"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
			"eventTime": time.Now().Add(-time.Minute).UTC().Format("2006-01-02T15:04:05.000Z"),
			"s3": map[string]any{
				"bucket": map[string]any{"name": bucket, "arn": "arn:aws:s3:::" + bucket},
				// Neither size nor sequencer may be relied on.
				"object": map[string]any{"key": key, "size": 0, "sequencer": "0055AED6DCD90281E5"},
			},
		})
	}
	return encode(map[string]any{"Records": records})
}

func bridgeEvent(bucket, key string) []byte {
	return encode(map[string]any{
		"version": "0", "id": "17793124-05d4-b198-2fde-7ededc63b103", "detail-type": "Object Created", "source": "aws.s3",
		"time":   time.Now().UTC().Format(time.RFC3339),
		"detail": map[string]any{"bucket": map[string]any{"name": bucket}, "object": map[string]any{"key": key, "size": 5}},
	})
}

// sqsEvent has bodies as messages "m0", "m1", …
func sqsEvent(bodies ...[]byte) []byte {
	records := []any{}
	for i, body := range bodies {
		records = append(records, map[string]any{
			"messageId": messageID(i), "receiptHandle": "x", "eventSource": "aws:sqs", "body": string(body),
		})
	}
	return encode(map[string]any{"Records": records})
}

func messageID(i int) string { return "m" + string(rune('0'+i)) }

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return b
}

// handle has an event handled, and returns the messages that are to be tried again.
func (r *rig) handle(event []byte) []string {
	r.T.Helper()
	failed, err := handle(r.T.Context(), r.Ingester, event)
	if err != nil {
		r.T.Fatal(err)
	}
	return failed
}

func handle(ctx context.Context, in *ingest.Ingester, event []byte) ([]string, error) {
	answer, err := in.Handle(ctx, event)
	var failed []string
	for _, f := range answer.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed, err
}

// row is what is said of a track, its upload left out.
type row struct {
	Status, Backend, Bucket, Key, Path, Format, Type string
	Size, Version                                    int64
	Pinned                                           bool
}

func (r *rig) track(id track.ID) (t row) {
	r.T.Helper()
	err := r.DB.QueryRow(r.T.Context(), `
		SELECT status, storage_backend, coalesce(storage_bucket, ''), coalesce(storage_key, ''), coalesce(file_path, ''), coalesce(format, ''),
			coalesce(content_type, ''), coalesce(file_size, 0), file_version, storage_version_id IS NOT NULL
		FROM tracks WHERE id = $1`, id).
		Scan(&t.Status, &t.Backend, &t.Bucket, &t.Key, &t.Path, &t.Format, &t.Type, &t.Size, &t.Version, &t.Pinned)
	if err != nil {
		r.T.Fatal(err)
	}
	return t
}

// state is an upload's, with the reason of a failure.
func (r *rig) state(u track.Upload) string {
	r.T.Helper()
	all, err := r.Store.UploadsByID(r.T.Context(), []track.ID{u.ID})
	if err != nil || len(all) != 1 {
		r.T.Fatalf("upload %s: %d rows, %v", u.ID, len(all), err)
	}
	if all[0].Reason != "" {
		return string(all[0].State) + " " + string(all[0].Reason)
	}
	return string(all[0].State)
}

// discards maps keys and paths to the reason why they are to go.
func (r *rig) discards() map[string]string {
	r.T.Helper()
	rows, err := r.DB.Query(r.T.Context(), "SELECT storage_key, backend || ' ' || reason FROM track_discards")
	if err != nil {
		r.T.Fatal(err)
	}
	defer rows.Close()
	all := make(map[string]string)
	for rows.Next() {
		var key, why string
		if err := rows.Scan(&key, &why); err != nil {
			r.T.Fatal(err)
		}
		all[key] = why
	}
	if err := rows.Err(); err != nil {
		r.T.Fatal(err)
	}
	return all
}

var discard = slog.New(slog.DiscardHandler)

func wav(seed int64) []byte { return audiotest.WAV(1, seed)[:8000] }
