package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/ingest"
	"trackstore/shared/migrate"
	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

// BenchmarkUpdatesBesideALock measures 1,000 of the platform's updates, each of another row than
// the one that an open transaction holds: while nothing of ours works, and while tracks are moved,
// events are settled, and a sweep goes on. What is said of each is to be compared with "alone".
//
//	go test -run=^$ -bench=UpdatesBesideALock -benchtime=1x ./shared/migrate
func BenchmarkUpdatesBesideALock(b *testing.B) {
	alone := time.Duration(0)
	for _, load := range []struct {
		name string
		work func(ctx context.Context, r *rig, waiting track.ID)
	}{
		{"alone", func(ctx context.Context, _ *rig, _ track.ID) { <-ctx.Done() }},
		{"moves", workMoves}, {"events", workEvents}, {"sweep", workSweep},
	} {
		b.Run(load.name, func(b *testing.B) {
			r := newRig(b)
			var ids []track.ID
			for i := range 300 {
				ids = append(ids, r.add(fmt.Sprintf("%d.wav", i), content(i, 10_000)))
			}
			r.Exec(`UPDATE tracks SET creator_id = $1`, stores.Owner)
			waiting := r.Ticket(ids[0], track.S3) // its bytes are there, and its track is locked
			r.Put(track.S3, waiting.Key, audiotest.WAV(1, 1)[:8000])
			defer r.lock(ids[0])()
			ctx, stop := context.WithCancel(b.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				for ctx.Err() == nil {
					load.work(ctx, r, waiting.ID)
				}
			}()
			var took []time.Duration
			for b.Loop() {
				for range 1000 {
					started := time.Now()
					r.Exec(`UPDATE tracks SET title = 'x' || $2::bigint WHERE id = $1`, ids[1+rand.IntN(len(ids)-1)], rand.IntN(100))
					took = append(took, time.Since(started))
				}
			}
			stop()
			<-done
			slices.Sort(took)
			at := func(share int) time.Duration { return took[min(len(took)*share/100, len(took)-1)] }
			if load.name == "alone" {
				alone = at(99)
			}
			b.ReportMetric(float64(at(50))/1e6, "p50-ms")
			b.ReportMetric(float64(at(99))/1e6, "p99-ms")
			b.ReportMetric(float64(at(100))/1e6, "max-ms")
			b.ReportMetric(float64(at(99))/float64(alone), "of-alone")
		})
	}
}

// workMoves moves all tracks there and back.
func workMoves(ctx context.Context, r *rig, _ track.ID) {
	for _, mover := range []migrate.Mover{r.upload(), r.restore()} {
		must(r, r.Store.SetDirection(context.WithoutCancel(ctx), mover.Direction()))
		j := job()
		j.StopAt = time.Now().Add(time.Second)
		if _, err := runner(r.Store, mover).Run(ctx, j); err != nil && ctx.Err() == nil {
			r.Error(err)
		}
	}
}

// tickets opens uploads and puts their bytes; with the one that waits for a locked row.
func (r *rig) tickets(waiting track.ID) (ids []track.ID) {
	ids = append(ids, waiting)
	for range 50 {
		u := r.Ticket(track.ID{}, track.S3)
		r.Put(track.S3, u.Key, audiotest.WAV(1, 1)[:8000])
		ids = append(ids, u.ID)
	}
	return ids
}

func workEvents(ctx context.Context, r *rig, waiting track.ID) {
	ids := r.tickets(waiting)
	confirm := ingest.New(ingest.Config{Uploads: r.Store, Backends: map[string]ingest.Backend{track.S3: r.S3}, Log: quiet})
	if _, err := confirm.ConfirmEach(ctx, ids, false); err != nil && ctx.Err() == nil {
		r.Error(err)
	}
}

func workSweep(ctx context.Context, r *rig, waiting track.ID) {
	r.tickets(waiting)
	_, err := sweep.New(sweep.Config{
		Store:    r.Store,
		Confirm:  ingest.New(ingest.Config{Uploads: r.Store, Backends: map[string]ingest.Backend{track.S3: r.S3}, Log: quiet}),
		Backends: map[string]sweep.Backend{track.S3: r.S3, track.Local: r.Disk}, Paths: r.Disk, Grace: time.Second, UploadTTL: time.Hour, Log: quiet,
	}).Run(ctx, sweep.Options{})
	if err != nil && ctx.Err() == nil && !errors.Is(err, track.ErrLocked) {
		r.Error(err)
	}
}
