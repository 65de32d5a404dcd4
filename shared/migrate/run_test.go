package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

func TestRunMovesEveryTrackOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	want := map[track.ID][]byte{}
	for i := range 250 {
		c := content(i, 1000+i)
		want[r.add(fmt.Sprintf("audio/%d.wav", i), c)] = c
	}
	large := content(7, 40<<20+123)
	want[r.add("audio/large.flac", large)] = large

	summary, seen := r.run(r.upload(), job())
	if summary.Claimed != len(want) || summary.Migrated != len(want) || !summary.Done || summary.Remaining != 0 {
		t.Errorf("%+v", summary)
	}
	if len(seen.all) != len(want) {
		t.Errorf("%d results for %d tracks", len(seen.all), len(want))
	}
	for id, c := range want {
		r.holds(id, track.S3, c)
	}
	r.settled()

	again, _ := r.run(r.upload(), job())
	if again.Claimed != 0 || !again.Done {
		t.Errorf("a second run: %+v", again)
	}
}

// vanishing is a bucket that is gone from the first write on.
type vanishing struct {
	*s3store.Store
	gone *atomic.Bool
}

var errNoBucket = errors.New("there is no such bucket")

func (v vanishing) Create(context.Context, track.ObjectSpec, io.ReaderAt) (track.Object, error) {
	v.gone.Store(true)
	return track.Object{}, errNoBucket
}

func (v vanishing) Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error) {
	if v.gone.Load() {
		return nil, errNoBucket
	}
	return v.Store.Open(ctx, key, versionID, offset, length)
}

// A bucket that is not there says nothing about any track.
func TestABucketThatGoesAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(20)
	bucket := vanishing{r.S3, &atomic.Bool{}}
	mover := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: bucket, Large: r.S3, Sniff: noSniff})
	_, err := runner(r.Store, mover).Run(t.Context(), job())
	if !errors.Is(err, errNoBucket) {
		t.Errorf("the run ended with %v", err)
	}
	if n := r.one(`SELECT count(*)::text FROM track_migrations`); n != "0" {
		t.Errorf("%s tracks are leased or have failed", n)
	}
}

// throttling is a bucket that tells each writer to slow down, some times.
type throttling struct {
	*s3store.Store
	times *atomic.Int64
}

func (b throttling) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	if b.times.Add(-1) >= 0 {
		return track.Object{}, fmt.Errorf("injected: %w", track.ErrThrottled)
	}
	return b.Store.Create(ctx, spec, body)
}

// S3 may tell to slow down for minutes. That says nothing about the track, either.
func TestALongSlowDown(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(1)
	bucket := throttling{r.S3, &atomic.Int64{}}
	bucket.times.Store(12)
	mover := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: bucket, Large: r.S3, Sniff: noSniff})
	if summary, _ := r.run(mover, job()); summary.Migrated != 1 {
		t.Errorf("%+v", summary)
	}
}

// hanging is a database that does not answer any more, from the first settlement on.
type hanging struct {
	*pgstore.Store
	interrupt context.CancelFunc
}

func (h hanging) Settle(ctx context.Context, _ track.Direction, _ []track.Outcome) ([]track.Ruling, error) {
	h.interrupt()
	<-ctx.Done()
	return nil, ctx.Err()
}

func (h hanging) Release(ctx context.Context, _ []track.Lease) error {
	<-ctx.Done()
	return ctx.Err()
}

func (h hanging) Remaining(ctx context.Context, _ track.Direction, _ track.Selection) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// An interrupt ends a run also where the database hangs.
func TestInterruptWhereTheDatabaseHangs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.addMany(200) // more than one settlement holds
	ctx, interrupt := context.WithCancel(t.Context())
	started := time.Now()
	_, err := runner(hanging{r.Store, interrupt}, r.upload()).Run(ctx, job())
	if !errors.Is(err, migrate.ErrInterrupted) {
		t.Errorf("the run ended with %v", err)
	}
	if took := time.Since(started); took > 15*time.Second { // a settlement alone may take a minute
		t.Errorf("it took %s", took)
	}
}

// mute is a ledger that does not answer how much remains.
type mute struct{ *pgstore.Store }

func (mute) Remaining(ctx context.Context, _ track.Direction, _ track.Selection) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

// The last look at a database that has gone silent ends with the deadline: whoever set it
// may end the process then.
func TestTheLastLookKeepsTheDeadline(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	summary, err := runner(mute{r.Store}, r.upload()).Run(ctx, job())
	deadline, _ := ctx.Deadline()
	if late := time.Since(deadline); late > time.Second || !errors.Is(err, context.DeadlineExceeded) || summary.Done {
		t.Errorf("%v after the deadline: %+v, %v", late, summary, err)
	}
}
