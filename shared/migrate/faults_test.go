package migrate_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// fault is what happens to the first calls of one operation.
type fault struct {
	op    string
	how   string
	times int

	mu    sync.Mutex
	calls int
}

// The ways in which a call fails. All but the last are errors; in all but the first two it
// takes effect all the same.
const (
	refused   = "refused"
	throttled = "throttled"
	persisted = "failed, yet persisted"
	slow      = "slow"
)

// hit runs a call of an operation, and makes it fail if it is its turn.
func (f *fault) hit(op string, call func() error) error {
	f.mu.Lock()
	mine := op == f.op && f.calls < f.times
	if mine {
		f.calls++
	}
	f.mu.Unlock()
	if !mine {
		return call()
	}
	switch f.how {
	case refused:
		return fmt.Errorf("injected: %w", track.ErrUnavailable)
	case throttled:
		return fmt.Errorf("injected: %w", track.ErrThrottled)
	case persisted:
		return errors.Join(call(), fmt.Errorf("injected: %w", track.ErrUnavailable))
	}
	time.Sleep(700 * time.Millisecond) // longer than the test's leases last
	return call()
}

// faultyS3 is the real store with a fault.
type faultyS3 struct {
	*s3store.Store
	*fault
}

func (s faultyS3) Create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (o track.Object, err error) {
	err = s.hit("Create", func() (err error) {
		o, err = s.Store.Create(ctx, spec, body)
		return err
	})
	return o, err
}

func (s faultyS3) Head(ctx context.Context, key, versionID string) (o track.Object, err error) {
	err = s.hit("Head", func() (err error) {
		o, err = s.Store.Head(ctx, key, versionID)
		return err
	})
	return o, err
}

func (s faultyS3) Open(ctx context.Context, key, versionID string, offset, length int64) (body io.ReadCloser, err error) {
	err = s.hit("Open", func() (err error) {
		body, err = s.Store.Open(ctx, key, versionID, offset, length)
		return err
	})
	return body, err
}

func (s faultyS3) CreateLarge(ctx context.Context, key, contentType string) (id string, err error) {
	err = s.hit("CreateLarge", func() (err error) {
		id, err = s.Store.CreateLarge(ctx, key, contentType)
		return err
	})
	return id, err
}

func (s faultyS3) PutPart(ctx context.Context, spec track.NewPart, body io.ReadSeeker) (p track.Part, err error) {
	err = s.hit("PutPart", func() (err error) {
		p, err = s.Store.PutPart(ctx, spec, body)
		return err
	})
	return p, err
}

func (s faultyS3) CompleteLarge(ctx context.Context, spec track.ObjectSpec, id string, parts []track.Part) (o track.Object, err error) {
	err = s.hit("CompleteLarge", func() (err error) {
		o, err = s.Store.CompleteLarge(ctx, spec, id, parts)
		return err
	})
	return o, err
}

func (s faultyS3) AbortMultipart(ctx context.Context, key, id string) error {
	return s.hit("AbortMultipart", func() error { return s.Store.AbortMultipart(ctx, key, id) })
}

// faultyLedger is the real store with a fault.
type faultyLedger struct {
	*pgstore.Store
	*fault
}

func (l faultyLedger) Claim(ctx context.Context, spec track.ClaimSpec) (c track.Claims, err error) {
	err = l.hit("Claim", func() (err error) {
		c, err = l.Store.Claim(ctx, spec)
		return err
	})
	if err != nil {
		return track.Claims{}, err // whoever gets an error gets nothing else
	}
	return c, nil
}

func (l faultyLedger) Extend(ctx context.Context, leases []track.Lease, d time.Duration) error {
	return l.hit("Extend", func() error { return l.Store.Extend(ctx, leases, d) })
}

func (l faultyLedger) Release(ctx context.Context, leases []track.Lease) error {
	return l.hit("Release", func() error { return l.Store.Release(ctx, leases) })
}

func (l faultyLedger) Settle(ctx context.Context, d track.Direction, outcomes []track.Outcome) (v []track.Ruling, err error) {
	err = l.hit("Settle", func() (err error) {
		v, err = l.Store.Settle(ctx, d, outcomes)
		return err
	})
	return v, err
}

func (l faultyLedger) ForgetDead(ctx context.Context) (n int64, err error) {
	err = l.hit("ForgetDead", func() (err error) {
		n, err = l.Store.ForgetDead(ctx)
		return err
	})
	return n, err
}

func (l faultyLedger) Activity(ctx context.Context, ids []track.ID) (a track.Activity, err error) {
	err = l.hit("Activity", func() (err error) {
		a, err = l.Store.Activity(ctx, ids)
		return err
	})
	return a, err
}

func (l faultyLedger) Remaining(ctx context.Context, d track.Direction, which track.Selection) (n int64, err error) {
	err = l.hit("Remaining", func() (err error) {
		n, err = l.Store.Remaining(ctx, d, which)
		return err
	})
	return n, err
}

// Every call to S3 and to the database fails in every way: a few times, and always. After
// that a run without faults finds nothing lost and nothing left.
func TestFaults(t *testing.T) {
	t.Parallel()
	var all []scenario
	for _, op := range []string{"Create", "Head", "CreateLarge", "PutPart", "CompleteLarge", "AbortMultipart"} {
		for _, how := range []string{refused, throttled, persisted, slow} {
			all = append(all, scenario{track.ToS3, op, how, 2})
		}
		all = append(all, scenario{track.ToS3, op, refused, 1000}, scenario{track.ToS3, op, persisted, 1000})
	}
	for _, op := range []string{"Claim", "Extend", "Release", "Settle", "ForgetDead", "Activity", "Remaining"} {
		for _, how := range []string{refused, persisted, slow} {
			all = append(all, scenario{track.ToS3, op, how, 2})
		}
		all = append(all, scenario{track.ToS3, op, refused, 1000})
	}
	for _, op := range []string{"Head", "Open", "Claim", "Settle"} {
		for _, how := range []string{refused, persisted, slow} {
			all = append(all, scenario{track.ToLocal, op, how, 2})
		}
	}
	// They wait more than they work: more at once than there are processors.
	var group errgroup.Group
	group.SetLimit(8)
	for _, s := range all {
		group.Go(func() error {
			t.Run(fmt.Sprintf("%s %s %s %d times", s.direction, s.op, s.how, s.times), s.test)
			return nil
		})
	}
	_ = group.Wait()
}

type scenario struct {
	direction track.Direction
	op, how   string
	times     int
}

func (s scenario) test(t *testing.T) {
	d, op, how, times := s.direction, s.op, s.how, s.times
	r := newRig(t)
	want := map[track.ID][]byte{}
	for i := range 5 {
		c := content(i, 2000+i)
		want[r.add(fmt.Sprintf("%d.wav", i), c)] = c
	}
	switch op {
	case "CreateLarge", "PutPart", "CompleteLarge", "AbortMultipart", "Open":
		c := content(99, 17<<20)
		want[r.add("large.wav", c)] = c
	}

	f := &fault{op: op, how: how, times: times}
	store := faultyS3{r.S3, f}
	var mover migrate.Mover = migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: store, Large: store, Sniff: noSniff})
	if d == track.ToLocal {
		r.run(r.upload(), job())
		for _, path := range []string{"0.wav", "1.wav"} {
			r.remove(path) // to be fetched; the others are kept
		}
		r.turn(d)
		mover = migrate.NewRestore(migrate.Restore{Disk: r.Disk, Bucket: store})
	}
	j := job()
	j.Lease = 600 * time.Millisecond
	_, err := runner(faultyLedger{r.Store, f}, mover).Run(t.Context(), j)
	if err != nil && !track.IsRetryable(err) {
		t.Errorf("the run ended with an error that tells nobody to try again: %v", err)
	}
	f.times = 0

	// Whatever was left: the bytes that rows name are there, and another run moves the rest.
	for id, c := range want {
		if got, err := r.bytesOf(id); err != nil || string(got) != string(c) {
			if d == track.ToS3 {
				t.Errorf("after the faults track %s has %d bytes, %v", id, len(got), err)
			}
		}
	}
	if _, err := r.Store.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	var clean migrate.Mover = r.upload()
	if d == track.ToLocal {
		clean = r.restore()
	}
	if summary, _ := r.run(clean, job()); !summary.Done || summary.Failed+summary.Missing > 0 {
		t.Errorf("the run after it: %+v", summary)
	}
	for id, c := range want {
		r.holds(id, d.Backend(), c)
	}
	r.settled()
	// One whose beginning or end nobody heard of is left to the sweep.
	if err == nil && op != "AbortMultipart" && op != "CreateLarge" {
		for m, err := range r.S3.ListMultiparts(t.Context(), "") {
			t.Errorf("a multipart upload is left: %+v, %v", m, err)
		}
	}
}

func noSniff(io.ReaderAt) (track.Format, bool, error) { return "", false, nil }
