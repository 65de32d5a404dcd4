package functions_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/internal/audiotest"
	"trackstore/internal/devstack/asl"
	"trackstore/internal/testenv"
	"trackstore/shared/track"
	"trackstore/statemachines"
)

// The state machine as it is deployed, over the function as it is deployed, moves every track: also when a batch fails,
// when another is cut off by Lambda in the middle of its copies, and when a file is missing.
func TestStateMachineMovesEveryTrack(t *testing.T) {
	t.Parallel()
	const tracks, limit, workers = 60, 8, 3
	w := newWorld(t, testenv.Postgres(t))
	content := map[track.ID][]byte{}
	for i := range tracks {
		id, name := track.NewID(), fmt.Sprintf("take %d.flac", i)
		content[id] = audiotest.FLAC(1, int64(i))
		if err := os.WriteFile(filepath.Join(w.disk, name), content[id], 0o644); err != nil {
			t.Fatal(err)
		}
		w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, id, name)
	}
	w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', 'lost.flac')`, track.NewID())

	p := &programs{dir: t.TempDir()}
	instances := make(chan *service, workers)
	for range workers {
		instances <- p.serve(t, "migrate-batch", append(w.env(), "MIGRATE_LEASE=2s")...)
	}
	failing := p.serve(t, "migrate-batch", append(w.env(), "DATABASE_URL=postgres://nobody@127.0.0.1:1/nothing")...)
	slow := p.serve(t, "migrate-batch", append(w.env(), "MIGRATE_LEASE=2s", "AWS_S3_ENDPOINT="+silentServer(t))...)

	var calls, failures atomic.Int64
	machine := statemachines.Local{
		Workers: workers,
		Batch: func(_ context.Context, request json.RawMessage) (json.RawMessage, error) {
			var got answer
			switch calls.Add(1) {
			case 2:
				got = failing.invoke(request, 30*time.Second)
			case 3:
				got = slow.invoke(request, 3*time.Second)
			default:
				instance := <-instances
				defer func() { instances <- instance }()
				got = instance.invoke(request, 30*time.Second)
			}
			if got.failed {
				failures.Add(1)
			}
			return result(got)
		},
		// Every wait is shortened: the one for leases to what these leases take.
		Sleep: func(ctx context.Context, d time.Duration) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(min(d/60, 2500*time.Millisecond)):
				return nil
			}
		},
	}
	summary, err := machine.MigrateStorage(t.Context(), json.RawMessage(fmt.Sprintf(`{"direction":"to_s3","limit":%d}`, limit)))
	if err != nil {
		t.Fatal(err)
	}
	want := statemachines.Summary{Direction: "to_s3", Claimed: summary.Claimed, Migrated: tracks, Missing: 1, Bytes: summary.Bytes, Done: true}
	if summary != want || summary.Bytes == 0 {
		t.Errorf("%+v", summary)
	}
	if failures.Load() != 2 {
		t.Errorf("%d batches failed, and not the failing and the slow one", failures.Load())
	}
	if calls.Load() < tracks/limit {
		t.Errorf("%d batches of %d moved %d tracks", calls.Load(), limit, tracks)
	}
	for id, want := range content {
		var backend, key string
		if err := w.db.QueryRow(t.Context(), `SELECT storage_backend, storage_key FROM tracks WHERE id = $1`, id).Scan(&backend, &key); err != nil {
			t.Fatal(err)
		}
		got, err := w.bucket.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &w.bucket.Name, Key: &key})
		if err != nil || backend != track.S3 {
			t.Fatalf("%s is on %s: %v", id, backend, err)
		}
		read, err := io.ReadAll(got.Body)
		if err != nil || !bytes.Equal(read, want) {
			t.Errorf("%s has other bytes on S3, %v", id, err)
		}
	}
	var leased int
	if err := w.db.QueryRow(t.Context(), `SELECT count(*) FROM track_migrations WHERE state = 'leased'`).Scan(&leased); err != nil || leased != 0 {
		t.Errorf("%d leases are left, %v", leased, err)
	}
}

// result is an answer as Step Functions takes it: a failed one bears the name of the function's error.
func result(got answer) (json.RawMessage, error) {
	if !got.failed {
		return json.RawMessage(got.body), nil
	}
	var e struct{ ErrorType, ErrorMessage string }
	if err := json.Unmarshal([]byte(got.body), &e); err != nil {
		return nil, &asl.Error{Name: "Lambda.Unknown", Cause: got.body}
	}
	return nil, &asl.Error{Name: e.ErrorType, Cause: e.ErrorMessage}
}

// A request that migrate-batch refuses is not tried again, and the execution says why it failed.
func TestStateMachineFailsOnARefusedRequest(t *testing.T) {
	t.Parallel()
	w := newWorld(t, testenv.Postgres(t))
	function := (&programs{dir: t.TempDir()}).serve(t, "migrate-batch", w.env()...)
	for _, request := range []string{`{"directon":"to_s3"}`, `{"direction":"up"}`, `{"limit":0}`, `{"limit":"all"}`} {
		calls := 0
		machine := statemachines.Local{
			Workers: 1,
			Batch: func(_ context.Context, request json.RawMessage) (json.RawMessage, error) {
				calls++
				return result(function.invoke(request, 30*time.Second))
			},
			Sleep: func(context.Context, time.Duration) error { return nil },
		}
		_, err := machine.MigrateStorage(t.Context(), json.RawMessage(request))
		var failure *asl.Error
		if !errors.As(err, &failure) || !strings.Contains(failure.Cause, "InputError") || calls != 1 {
			t.Errorf("%s: %d calls, %v", request, calls, err)
		}
	}
}

// silentServer takes connections and never answers.
func silentServer(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
		}
	}()
	return "http://" + listener.Addr().String()
}
