package ingest_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/ingest"
	"trackstore/shared/track"
)

// faults makes one call fail: the nth, before or after it took effect.
type faults struct {
	nth       int64
	persisted bool // it took effect, and its answer was lost
	calls     atomic.Int64
}

func (f *faults) before() error {
	if f.calls.Add(1) == f.nth && !f.persisted {
		return fmt.Errorf("cut: %w", track.ErrUnavailable)
	}
	return nil
}

func (f *faults) after(err error) error {
	if err == nil && f.calls.Load() == f.nth && f.persisted {
		return fmt.Errorf("cut after the fact: %w", track.ErrUnavailable)
	}
	return err
}

type faultyUploads struct {
	ingest.Uploads
	settle, find *faults
}

func (u faultyUploads) SettleUploads(ctx context.Context, findings []track.Finding, dryRun bool) (track.Settlement, error) {
	if err := u.settle.before(); err != nil {
		return track.Settlement{}, err
	}
	settled, err := u.Uploads.SettleUploads(ctx, findings, dryRun)
	if err = u.settle.after(err); err != nil {
		return track.Settlement{}, err
	}
	return settled, nil
}

func (u faultyUploads) UploadsByKey(ctx context.Context, keys []string) ([]track.Upload, error) {
	if err := u.find.before(); err != nil {
		return nil, err
	}
	return u.Uploads.UploadsByKey(ctx, keys)
}

type faultyBucket struct {
	ingest.Backend
	head, open *faults
	key        string // only for keys that hold this
	cut        bool   // bodies end half-way
}

func (b faultyBucket) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	if strings.Contains(key, b.key) {
		if err := b.head.before(); err != nil {
			return track.Object{}, err
		}
	}
	return b.Backend.Head(ctx, key, versionID)
}

func (b faultyBucket) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	if !strings.Contains(key, b.key) {
		return b.Backend.Open(ctx, key, versionID, offset, length)
	}
	if err := b.open.before(); err != nil {
		return nil, err
	}
	body, err := b.Backend.Open(ctx, key, versionID, offset, length)
	if err == nil && b.cut {
		body = struct {
			io.Reader
			io.Closer
		}{io.LimitReader(body, 100), body}
	}
	return body, err
}

// A fault, the event once more, and nothing shows of it.
func TestFaults(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sha := sha256.Sum256(wav(2))
	sum := declared(track.Checksum{Algorithm: track.SHA256, Value: base64.StdEncoding.EncodeToString(sha[:])})
	one, two := r.ticket(track.ID{}, track.S3, wav(1)), r.ticket(track.ID{}, track.S3, wav(2), sum)
	for i, u := range []track.Upload{one, two} {
		r.send(u, wav(int64(i+1)))
	}
	event := sqsEvent(s3Event(r.Bucket.Name, one.Key), s3Event(r.Bucket.Name, two.Key))
	r.save()
	r.handle(event)
	want := r.rows()
	if r.state(one) != "stored" || r.state(two) != "stored" {
		t.Fatalf("%s, %s", r.state(one), r.state(two))
	}

	never := func() *faults { return &faults{} }
	first := func() *faults { return &faults{nth: 1} }
	for name, c := range map[string]struct {
		uploads faultyUploads
		bucket  faultyBucket
		again   []string // the messages that are to be tried again
	}{
		"settling fails":             {faultyUploads{r.Store, first(), never()}, faultyBucket{r.S3, never(), never(), "", false}, nil},
		"settling's answer is lost":  {faultyUploads{r.Store, &faults{nth: 1, persisted: true}, never()}, faultyBucket{r.S3, never(), never(), "", false}, nil},
		"the rows are out of reach":  {faultyUploads{r.Store, never(), first()}, faultyBucket{r.S3, never(), never(), "", false}, []string{"m0", "m1"}},
		"one HEAD fails":             {faultyUploads{r.Store, never(), never()}, faultyBucket{r.S3, first(), never(), two.Key, false}, []string{"m1"}},
		"one object cannot be read":  {faultyUploads{r.Store, never(), never()}, faultyBucket{r.S3, never(), first(), one.Key, false}, []string{"m0"}},
		"the first bytes are cut":    {faultyUploads{r.Store, never(), never()}, faultyBucket{r.S3, never(), never(), one.Key, true}, []string{"m0"}},
		"the checksum's read is cut": {faultyUploads{r.Store, never(), never()}, faultyBucket{r.S3, never(), never(), two.Key, true}, []string{"m1"}},
	} {
		r.restore()
		failed, err := handle(t.Context(), r.over(c.uploads, c.bucket), event)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.again, failed); diff != "" {
			t.Errorf("%s: to be tried again: %s", name, diff)
		}
		r.handle(event)
		if diff := cmp.Diff(want, r.rows()); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}

// A client whose answer was lost on the way learns what became of the upload.
func TestConfirmReadsWhatALostAnswerDid(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	r.send(u, wav(1))
	in := r.over(faultyUploads{r.Store, &faults{nth: 1, persisted: true}, &faults{}}, r.S3)
	got, err := in.Confirm(t.Context(), u.ID)
	if err != nil || len(got) != 1 || got[0].State != track.UploadStored {
		t.Errorf("got %+v, %v", got, err)
	}
}

// Where settling keeps failing, a client is told so, and nothing has changed.
func TestConfirmGivesUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	r.send(u, wav(1))
	in := r.over(broken{r.Store}, r.S3)
	got, err := in.Confirm(t.Context(), u.ID)
	if !track.IsRetryable(err) || len(got) != 1 || got[0].State != track.UploadPending || r.state(u) != "pending" {
		t.Errorf("got %+v, %v; %s", got, err, r.state(u))
	}
	if got := r.handle(s3Event(r.Bucket.Name, u.Key)); got != nil || r.state(u) != "stored" {
		t.Errorf("%v, %s", got, r.state(u))
	}
}

type broken struct{ ingest.Uploads }

func (broken) SettleUploads(context.Context, []track.Finding, bool) (track.Settlement, error) {
	return track.Settlement{}, track.ErrUnavailable
}

func FuzzHandle(f *testing.F) {
	f.Add(s3Event("bucket", "uploads/x%2Fy+z"))
	f.Add(s3EventNamed("s3:ObjectCreated:Put", "bucket", "uploads/%zz", "uploads/%00"))
	f.Add(sqsEvent(s3Event("bucket", "uploads/x"), []byte("x"), bridgeEvent("bucket", "uploads/x"), sqsEvent()))
	f.Add(bridgeEvent("bucket", "uploads/a b"))
	f.Add([]byte(`{"Event":"s3:TestEvent"}`))
	f.Add([]byte(`{"Records":[null,1,{"messageId":null},{"messageId":"m"},{"s3":{}}]}`))
	f.Fuzz(func(t *testing.T, event []byte) {
		in := ingest.New(ingest.Config{
			Uploads: asked{t}, Backends: map[string]ingest.Backend{track.S3: named{}}, Log: discard,
		})
		answer, err := in.Handle(t.Context(), event)
		if err == nil && answer.BatchItemFailures == nil {
			t.Error("null is no list of failures")
		}
	})
}

// asked checks what the database is asked for.
type asked struct{ t *testing.T }

func (a asked) UploadsByKey(_ context.Context, keys []string) ([]track.Upload, error) {
	seen := make(map[string]bool)
	for _, key := range keys {
		if !strings.HasPrefix(key, "uploads/") || strings.ContainsRune(key, 0) || len(key) > 512 || seen[key] {
			a.t.Errorf("asks for %q", key)
		}
		seen[key] = true
	}
	return nil, nil
}
func (asked) UploadsByID(context.Context, []track.ID) ([]track.Upload, error) { return nil, nil }
func (asked) SettleUploads(context.Context, []track.Finding, bool) (track.Settlement, error) {
	return track.Settlement{}, nil
}

func (asked) BeginReading(context.Context, track.Reading, time.Duration) (track.Reading, error) {
	return track.Reading{}, nil
}
func (asked) SaveReading(context.Context, track.Reading, time.Duration) error { return nil }

type named struct{ ingest.Backend }

func (named) Bucket() string { return "bucket" }
