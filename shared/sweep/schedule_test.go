package sweep_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"trackstore/internal/testenv/stores"
	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

// Hundreds of tracks, each with a random schedule of its own over the real database and the real
// S3: an upload that expired so or so long ago, its bytes, its event, an abort, a second file, in a
// random order, while two sweeps go on. No byte that came in time is lost, and nothing stale wins.
func TestSchedulesOnTheStack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	tracks := 200
	if testing.Short() {
		tracks = 40
	}
	stop := make(chan struct{})
	var sweeps, users sync.WaitGroup
	for range 2 {
		sweeps.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if _, err := sweep.New(r.config).Run(t.Context(), sweep.Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	type outcome struct {
		first, second *track.Upload
		aborted       bool
		landed        bool // while its grace was not over
	}
	outcomes := make([]outcome, tracks)
	atOnce := make(chan struct{}, 8)
	for i := range outcomes {
		users.Go(func() {
			atOnce <- struct{}{}
			defer func() { <-atOnce }()
			random := rand.New(rand.NewPCG(uint64(i), 0))
			o := &outcomes[i]
			ago := []time.Duration{0, time.Hour, grace - time.Duration(random.IntN(600))*time.Millisecond, grace + time.Hour}[random.IntN(4)]
			first := r.Ticket(track.ID{}, track.S3)
			o.first = &first
			if random.IntN(4) > 0 {
				r.Exec("UPDATE track_uploads SET created_at = created_at - interval '30 days', expires_at = now() WHERE id = $1", first.ID)
				if _, err := r.Store.ExpireUploads(t.Context(), []track.ID{first.ID}); err != nil {
					t.Error(err)
				}
				r.Exec(`WITH u AS (UPDATE track_uploads SET finished_at = finished_at - $2::interval WHERE id = $1 AND state = 'expired' RETURNING storage_key)
					UPDATE track_discards d SET discarded_at = discarded_at - $2::interval FROM u WHERE d.storage_key = u.storage_key AND d.removed_at IS NULL`, first.ID, ago)
			}
			confirm := func(u track.Upload) {
				if each, err := r.config.Confirm.ConfirmEach(t.Context(), []track.ID{u.ID}, false); err != nil || each[0].Err != nil {
					t.Errorf("%+v, %v", each, err)
				}
			}
			steps := []func(){
				func() {
					r.put(track.S3, first.Key)
					// Read after the bytes are there: whatever its note says now, they came before its end.
					o.landed = r.query(`SELECT NOT EXISTS (SELECT FROM track_discards
						WHERE storage_key = $1 AND (removed_at IS NOT NULL OR discarded_at <= now() - $2::interval))`, first.Key, grace) == "true"
				},
				func() { confirm(first) },
				func() {
					if random.IntN(6) == 0 {
						u, err := r.Store.AbortUpload(t.Context(), stores.Owner, first.ID)
						if err != nil {
							t.Error(err)
						}
						o.aborted = u.State == track.UploadAborted
					}
				},
				func() {
					if random.IntN(3) == 0 {
						second, err := r.TryTicket(first.TrackID, track.S3)
						if errors.Is(err, track.ErrNotFound) && ago >= grace-time.Second { // a sweep has deleted the track that got no file
							return
						} else if err != nil {
							t.Error(err)
							return
						}
						r.put(track.S3, second.Key)
						confirm(second)
						o.second = &second
					}
				},
			}
			random.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
			for _, step := range steps {
				time.Sleep(time.Duration(random.IntN(100)) * time.Millisecond)
				step()
			}
		})
	}
	users.Wait()
	close(stop)
	sweeps.Wait()
	r.sweep()
	for i, o := range outcomes {
		state := r.state(*o.first)
		key := r.query("SELECT storage_key FROM tracks WHERE id = $1", o.first.TrackID)
		what := fmt.Sprintf("schedule %d: %s, aborted %v, landed %v, second %v, the row names %s", i, state, o.aborted, o.landed, o.second != nil, key)
		switch {
		case key != "none" && !r.has(track.S3, key):
			t.Errorf("%s, which is gone", what)
		case o.aborted && (state != "aborted" || key == o.first.Key):
			t.Errorf("%s, though it was aborted", what)
		case o.second != nil && key != o.second.Key:
			t.Errorf("%s, and not the newer file", what)
		case o.landed && !o.aborted && o.second == nil && (state != "stored" || key != o.first.Key):
			t.Errorf("%s: its bytes are lost", what)
		}
	}
}
