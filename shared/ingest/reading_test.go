package ingest_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/shared/ingest"
	"trackstore/shared/track"
)

// meter counts what is read of whole objects, and how many are read at a time; each MiB takes a while.
type meter struct {
	ingest.Backend
	perMiB        time.Duration
	read          atomic.Int64
	now, mostOnce atomic.Int64
}

func (m *meter) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	body, err := m.Backend.Open(ctx, key, versionID, offset, length)
	if err != nil || length >= 0 {
		return body, err
	}
	m.mostOnce.Store(max(m.mostOnce.Load(), m.now.Add(1)))
	return &metered{body, m, ctx}, nil
}

type metered struct {
	io.ReadCloser
	*meter
	ctx context.Context
}

func (b *metered) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p[:min(len(p), 1<<20)])
	b.read.Add(int64(n))
	select {
	case <-time.After(b.perMiB * time.Duration(n) / (1 << 20)):
	case <-b.ctx.Done():
		return n, b.ctx.Err()
	}
	return n, err
}

func (b *metered) Close() error {
	b.now.Add(-1)
	return b.ReadCloser.Close()
}

// large opens an upload of a large file that declares a checksum which the storage does not know.
func (r *rig) large(seed int64) (track.Upload, int64) {
	r.T.Helper()
	file := audiotest.WAV(250, seed)
	sum := sha256.Sum256(file)
	u := r.ticket(track.ID{}, track.S3, file, declared(track.Checksum{Algorithm: track.SHA256, Value: base64.StdEncoding.EncodeToString(sum[:])}))
	r.send(u, file)
	return u, int64(len(file))
}

// Many who ask for the checksum of a large object at once read it once.
func TestALargeObjectIsReadOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, size := r.large(1)
	m := &meter{Backend: r.S3}
	// Two processes, three calls in each.
	processes := []*ingest.Ingester{r.over(r.Store, m), r.over(r.Store, m)}
	var calls sync.WaitGroup
	for i := range 6 {
		calls.Go(func() {
			if got, err := processes[i%2].Confirm(t.Context(), u.ID); err != nil || got[0].State != track.UploadStored {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	calls.Wait()
	if got := m.read.Load(); got != size {
		t.Errorf("%d bytes were read of %d", got, size)
	}
}

// Where time runs out, what was read counts at the next try, and one object after the other is
// done: none takes the time of all.
func TestReadingGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	m := &meter{Backend: r.S3, perMiB: 20 * time.Millisecond}
	in := r.over(r.Store, m)
	var events [][]byte
	var uploads []track.Upload
	total := int64(0)
	for i := range 3 {
		u, size := r.large(int64(i))
		total += size
		uploads = append(uploads, u)
		events = append(events, s3Event(r.Bucket.Name, u.Key))
	}
	event, tries := sqsEvent(events...), 0
	for ; tries < 400; tries++ {
		// Enough for half of one.
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		failed, err := handle(ctx, in, event)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if len(failed) == 0 {
			break
		}
	}
	for _, u := range uploads {
		if got := r.state(u); got != "stored" {
			t.Errorf("after %d tries: %s", tries, got)
		}
	}
	if got := m.read.Load(); got > total*3/2 || m.mostOnce.Load() != 1 {
		t.Errorf("%d bytes were read of %d, up to %d objects at a time", got, total, m.mostOnce.Load())
	}
}

// Bytes that are not those that were declared are found out also in two steps.
func TestAReadingInStepsTellsOtherBytes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file := audiotest.WAV(250, 1)
	sum := sha256.Sum256(file)
	u := r.ticket(track.ID{}, track.S3, file, declared(track.Checksum{Algorithm: track.SHA256, Value: base64.StdEncoding.EncodeToString(sum[:])}))
	other := bytes.Clone(file)
	other[len(other)-1] ^= 1
	r.send(u, other)
	in := r.over(r.Store, &meter{Backend: r.S3, perMiB: 20 * time.Millisecond})
	for range 400 {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		_, _ = in.Confirm(ctx, u.ID)
		cancel()
		if r.state(u) == "failed checksum_mismatch" {
			return
		}
	}
	t.Errorf("%s", r.state(u))
}
