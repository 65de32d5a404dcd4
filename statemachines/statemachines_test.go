package statemachines_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"trackstore/internal/devstack/asl"
	"trackstore/statemachines"
)

// tracks is what a fake migrate-batch moves: it claims from a number, as the real one claims from the database.
type tracks struct {
	mu     sync.Mutex
	left   int64 // neither moved nor leased
	leased int64 // by somebody else
	limit  int64 // a batch
}

func (p *tracks) batch(context.Context, json.RawMessage) (json.RawMessage, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := min(p.limit, p.left)
	p.left -= n
	missing := n / 10
	return fmt.Appendf(nil, `{"direction":"to_s3","claimed":%d,"migrated":%d,"missing":%d,"failed":0,"bytes":%d,"seconds":1,"remaining":%d,"done":%t}`,
		n, n-missing, missing, n*3_000_000_000, p.left+p.leased, p.left+p.leased == 0), nil
}

func noWait(ctx context.Context, _ time.Duration) error { return ctx.Err() }

func run(t *testing.T, l statemachines.Local, request string) (statemachines.Summary, error) {
	t.Helper()
	if l.Sleep == nil {
		l.Sleep = noWait
	}
	return l.MigrateStorage(t.Context(), json.RawMessage(request))
}

func TestMovesEverythingWithSeveralWorkers(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 4, 10} {
		p := &tracks{left: 1000, limit: 10}
		got, err := run(t, statemachines.Local{Workers: workers, Batch: p.batch}, `{}`)
		want := statemachines.Summary{Direction: "to_s3", Claimed: 1000, Migrated: 900, Missing: 100, Bytes: 3_000_000_000_000, Done: true}
		if err != nil || got != want {
			t.Errorf("%d workers: %+v, %v", workers, got, err)
		}
	}
}

func TestNothingToDo(t *testing.T) {
	t.Parallel()
	p := &tracks{limit: 10}
	got, err := run(t, statemachines.Local{Workers: 3, Batch: p.batch}, `{}`)
	if err != nil || got != (statemachines.Summary{Direction: "to_s3", Done: true}) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestEveryBatchGetsTheRequestAlsoInLaterExecutions(t *testing.T) {
	t.Parallel()
	const request = `{"direction":"to_s3","limit":500,"max_seconds":840,"track_ids":["a","b"]}`
	p := &tracks{left: 3000, limit: 1}
	var executions atomic.Int64
	l := statemachines.Local{
		Workers: 4,
		Batch: func(ctx context.Context, got json.RawMessage) (json.RawMessage, error) {
			var a, b any
			if err := errors.Join(json.Unmarshal(got, &a), json.Unmarshal([]byte(request), &b)); err != nil {
				return nil, err
			}
			if fmt.Sprint(a) != fmt.Sprint(b) {
				t.Errorf("a batch got %s", got)
			}
			return p.batch(ctx, got)
		},
		Event: func(e asl.Event) {
			if e.Type == "ExecutionStarted" {
				executions.Add(1)
			}
		},
	}
	got, err := run(t, l, request)
	if err != nil || got.Claimed != 3000 || !got.Done {
		t.Errorf("%+v, %v", got, err)
	}
	if executions.Load() < 10 {
		t.Errorf("3,000 batches took %d executions, not many", executions.Load())
	}
}

// A batch that fails now and then is tried again, and the sum comes out right.
func TestSurvivesBatchesThatFail(t *testing.T) {
	t.Parallel()
	p := &tracks{left: 500, limit: 10}
	var failures atomic.Int64
	got, err := run(t, statemachines.Local{Workers: 4, Batch: func(ctx context.Context, r json.RawMessage) (json.RawMessage, error) {
		if rand.IntN(3) == 0 {
			failures.Add(1)
			return nil, errors.New("the database is out of reach")
		}
		return p.batch(ctx, r)
	}}, `{}`)
	if failures.Load() < 6 && err != nil || err == nil && got.Claimed != 500 {
		t.Errorf("after %d failures: %+v, %v", failures.Load(), got, err)
	}
}

func TestFailsWhenBatchesKeepFailing(t *testing.T) {
	t.Parallel()
	var tries atomic.Int64
	var waited atomic.Int64
	_, err := run(t, statemachines.Local{
		Workers: 1,
		Batch: func(context.Context, json.RawMessage) (json.RawMessage, error) {
			tries.Add(1)
			return nil, errors.New("no such bucket")
		},
		Sleep: func(_ context.Context, d time.Duration) error { waited.Add(int64(d)); return nil },
	}, `{}`)
	var failure *asl.Error
	if !errors.As(err, &failure) || failure.Name != "BatchesKeepFailing" || !strings.Contains(failure.Cause, "no such bucket") {
		t.Errorf("ended with %v", err)
	}
	if tries.Load() != 7 {
		t.Errorf("a batch was tried %d times", tries.Load())
	}
	if waited.Load() == 0 {
		t.Error("tries followed each other without a delay")
	}
}

func TestStopsAfterTheBatchesInFlight(t *testing.T) {
	t.Parallel()
	p := &tracks{left: 1000, limit: 10}
	var stop atomic.Bool
	got, err := run(t, statemachines.Local{
		Workers: 4,
		Batch: func(ctx context.Context, r json.RawMessage) (json.RawMessage, error) {
			p.mu.Lock()
			stop.Store(p.left < 500)
			p.mu.Unlock()
			return p.batch(ctx, r)
		},
		Stopped: stop.Load,
	}, `{}`)
	if err != nil || !got.Stopped || got.Done || got.Claimed < 500 || got.Claimed == 1000 || got.Remaining != 1000-got.Claimed {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestStoppedBeforeTheFirstBatch(t *testing.T) {
	t.Parallel()
	got, err := run(t, statemachines.Local{Workers: 2, Stopped: func() bool { return true }}, `{"direction":"to_local"}`)
	if err != nil || got != (statemachines.Summary{Direction: "to_local", Remaining: -1, Stopped: true}) {
		t.Errorf("%+v, %v", got, err)
	}
}

// What another run holds is waited for: it moves it, or its lease runs out.
func TestWaitsForLeasesOfOthers(t *testing.T) {
	t.Parallel()
	p := &tracks{left: 20, leased: 30, limit: 10}
	var waits atomic.Int64
	l := statemachines.Local{Workers: 2, Batch: p.batch, Sleep: func(_ context.Context, d time.Duration) error {
		if d < 2*time.Minute {
			return fmt.Errorf("waits %v, less than a lease", d)
		}
		if waits.Add(1) == 3 { // now the other one is known to be dead
			p.mu.Lock()
			p.left, p.leased = 30, 0
			p.mu.Unlock()
		}
		return nil
	}}
	got, err := run(t, l, `{}`)
	if err != nil || got.Claimed != 50 || !got.Done || waits.Load() != 3 {
		t.Errorf("%+v after %d waits, %v", got, waits.Load(), err)
	}
}

func TestFailsWhenNothingCanEverBeClaimed(t *testing.T) {
	t.Parallel()
	p := &tracks{leased: 7, limit: 10}
	_, err := run(t, statemachines.Local{Workers: 2, Batch: p.batch}, `{}`)
	var failure *asl.Error
	if !errors.As(err, &failure) || failure.Name != "NothingCanBeClaimed" || !strings.HasPrefix(failure.Cause, "7 tracks remain") {
		t.Errorf("ended with %v", err)
	}
}

// A history holds 25,000 events. Here ten workers go on for as long as one execution lets them; what it would take if
// every task failed as often as it may is added up.
func TestHistoryNeverFillsUp(t *testing.T) {
	t.Parallel()
	p := &tracks{left: 1_000_000, limit: 1}
	var mu sync.Mutex
	events, most, executions := 0, 0, 0
	l := statemachines.Local{
		Workers: 10,
		Batch:   p.batch,
		Stopped: func() bool { mu.Lock(); defer mu.Unlock(); return executions > 3 },
		Event: func(e asl.Event) {
			mu.Lock()
			defer mu.Unlock()
			if e.Type == "ExecutionStarted" {
				events, executions = 0, executions+1
			}
			events++
			if e.Type == "TaskScheduled" {
				events += 6 * 3 // scheduled, started and failed, six times more
			}
			most = max(most, events)
		},
	}
	if _, err := run(t, l, `{}`); err != nil {
		t.Fatal(err)
	}
	if most >= 25_000 || most < 10_000 {
		t.Errorf("an execution may have %d events", most)
	}
}

func TestRefusesInputThatIsNoJSON(t *testing.T) {
	t.Parallel()
	if _, err := run(t, statemachines.Local{Workers: 1}, `{`); err == nil {
		t.Error("accepted {")
	}
}
