package sweep_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/ingest"
	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	grace     = 7 * 24 * time.Hour
	uploadTTL = 24 * time.Hour
)

// rig is a Sweeper over real stores.
type rig struct {
	stores.Set
	config sweep.Config
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{Set: stores.New(t)}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	r.config = sweep.Config{
		Store: r.Store,
		Confirm: ingest.New(ingest.Config{
			Uploads: r.Store, Backends: map[string]ingest.Backend{track.S3: r.S3, track.Local: r.Disk}, Log: log,
		}),
		Backends: map[string]sweep.Backend{track.S3: r.S3, track.Local: r.Disk},
		Paths:    r.Disk, Grace: grace, UploadTTL: uploadTTL, Log: log,
	}
	return r
}

// sweep sweeps, and fails the test where a step failed.
func (r *rig) sweep() sweep.Counts {
	r.T.Helper()
	counts, err := sweep.New(r.config).Run(r.T.Context(), sweep.Options{})
	if err != nil || !counts.Done {
		r.T.Fatalf("%+v, %v", counts, err)
	}
	return counts
}

// dryRun returns what a sweep would do, as "do backend key", in order.
func (r *rig) dryRun() []string {
	r.T.Helper()
	var would []string
	_, err := sweep.New(r.config).Run(r.T.Context(), sweep.Options{DryRun: true, Report: func(a sweep.Action) {
		would = append(would, a.Do+" "+a.Backend+" "+a.Key)
	}})
	if err != nil {
		r.T.Fatal(err)
	}
	slices.Sort(would)
	return would
}

var wav = audiotest.WAV(1, 1)[:8000]

// put stores bytes under a key.
func (r *rig) put(backend, key string) {
	r.T.Helper()
	r.Put(backend, key, wav)
}

// has reports whether a backend holds a key.
func (r *rig) has(backend, key string) bool {
	r.T.Helper()
	_, err := r.Backend(backend).Head(context.Background(), key, "")
	if err != nil && !errors.Is(err, track.ErrNotFound) {
		r.T.Fatal(err)
	}
	return err == nil
}

// query returns one value as text.
func (r *rig) query(sql string, args ...any) string {
	r.T.Helper()
	var text *string
	if err := r.DB.QueryRow(r.T.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		r.T.Fatal(err)
	}
	if text == nil {
		return "none"
	}
	return *text
}

func (r *rig) state(u track.Upload) string {
	return r.query("SELECT state FROM track_uploads WHERE id = $1", u.ID)
}

func (r *rig) isGone(backend, key string) bool {
	return r.query("SELECT bool_or(gone_at IS NOT NULL) FROM track_discards WHERE backend = $1 AND storage_key = $2", backend, key) == "true"
}

// discard notes bytes, as given up so long ago.
func (r *rig) discard(trackID track.ID, backend, key string, ago time.Duration) {
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at)
		VALUES ($1, $2, $3, 'replaced', now() - $4::interval)`, trackID, backend, key, ago)
}
