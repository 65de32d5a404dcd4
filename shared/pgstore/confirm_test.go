package pgstore_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/minio/crc64nvme"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/diskstore"
	"trackstore/shared/ingest"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// statements is a tracer that keeps what it sees.
type statements struct {
	mu  sync.Mutex
	all []string
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, strings.TrimSpace(data.SQL))
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// However many events a batch has, it costs one SELECT and one statement that changes rows.
func TestABatchOfEventsCostsTwoStatements(t *testing.T) {
	t.Parallel()
	seen := &statements{}
	store, err := pgstore.OpenTraced(t.Context(), testenv.Postgres(t), seen)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	disk, err := diskstore.New(diskstore.Config{Root: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	var records []any
	for i := range 50 {
		file := audiotest.WAV(1, int64(i))[:5000]
		if i%5 == 0 {
			copy(file, "<html>") // some are refused
		}
		u := track.Ticket{Title: "Nocturne", Life: time.Hour, MaxPending: 1000}
		u.ID, u.TrackID, u.UserID = track.NewID(), track.NewID(), track.NewID()
		u.Key = track.UploadKey(u.TrackID, u.ID, "x.wav")
		u.Method, u.Backend, u.MaxSize, u.Format, u.ContentType = track.MethodPut, track.Local, 1<<20, track.WAV, "audio/wav"
		if _, err := store.OpenUpload(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		sum := crc64nvme.New()
		sum.Write(file)
		if _, err := disk.Create(t.Context(), track.ObjectSpec{Key: u.Key, ContentType: "audio/wav", Digest: track.Digest{Size: int64(len(file)), CRC64NVME: sum.Sum64()}}, bytes.NewReader(file)); err != nil {
			t.Fatal(err)
		}
		records = append(records, map[string]any{"eventName": "ObjectCreated:Put", "s3": map[string]any{
			"bucket": map[string]any{"name": disk.Bucket()}, "object": map[string]any{"key": u.Key},
		}})
	}
	event, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	in := ingest.New(ingest.Config{
		Uploads: store, Backends: map[string]ingest.Backend{track.Local: disk}, Log: slog.New(slog.DiscardHandler),
	})
	for _, c := range []struct {
		name string
		want []string
	}{
		{"the first time", []string{"SELECT", "WITH"}},
		{"again", []string{"SELECT"}}, // nothing is pending any more
	} {
		seen.all = nil
		if _, err := in.Handle(t.Context(), event); err != nil {
			t.Fatal(err)
		}
		checkStatements(t, c.name, c.want, seen.all)
	}
}

func checkStatements(t *testing.T, name string, want, got []string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d statements: %q", name, len(got), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("%s: statement %d is %q, want %s", name, i, got[i], want[i])
		}
	}
}
