package devstack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-lambda-go/events"
)

// recorder is a consumer that notes each delivery, and fails as it is told to.
type recorder struct {
	mu      sync.Mutex
	batches []int
	seen    map[string]int // deliveries by body
	fail    func(body string, delivery int) bool
	err     error // of whole batches, until it is taken away
	crash   bool  // panic at the first batch
}

func (r *recorder) consume(_ context.Context, e events.SQSEvent) (answer events.SQSEventResponse, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.batches = append(r.batches, len(e.Records))
	for _, m := range e.Records {
		r.seen[m.Body]++
		if r.fail != nil && r.fail(m.Body, r.seen[m.Body]) {
			answer.BatchItemFailures = append(answer.BatchItemFailures, events.SQSBatchItemFailure{ItemIdentifier: m.MessageId})
		}
	}
	if r.crash && len(r.batches) == 1 {
		panic("out of luck")
	}
	return answer, r.err
}

// deliver sends bodies through a queue and returns what was buried, once nothing moves any more.
func deliver(t *testing.T, r *recorder, bodies ...string) (dead []string) {
	t.Helper()
	r.seen = make(map[string]int)
	q := newQueue(func(m events.SQSMessage) {
		r.mu.Lock()
		defer r.mu.Unlock()
		dead = append(dead, m.Body)
	}, slog.New(slog.DiscardHandler))
	for _, b := range bodies {
		q.send(b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		q.run(ctx, r.consume, time.Second)
	}()
	time.Sleep(time.Hour) // of the bubble's time
	synctest.Wait()
	cancel()
	<-done
	return dead
}

func numbered(n int) []string {
	bodies := make([]string, n)
	for i := range bodies {
		bodies[i] = fmt.Sprint(i)
	}
	return bodies
}

func TestQueueDeliversInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{}
		if dead := deliver(t, r, numbered(35)...); len(dead) > 0 {
			t.Errorf("buried %v", dead)
		}
		if len(r.seen) != 35 {
			t.Errorf("delivered %d of 35 messages", len(r.seen))
		}
		if slices.Max(r.batches) != batchSize || len(r.batches) != 4 {
			t.Errorf("batches of %v, want three of 10 and one of 5", r.batches)
		}
	})
}

func TestQueueRedeliversOnlyWhatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{fail: func(body string, delivery int) bool { return body == "3" && delivery < 3 }}
		if dead := deliver(t, r, numbered(5)...); len(dead) > 0 {
			t.Errorf("buried %v", dead)
		}
		for body, n := range r.seen {
			if want := map[bool]int{true: 3, false: 1}[body == "3"]; n != want {
				t.Errorf("message %s was delivered %d times, want %d", body, n, want)
			}
		}
	})
}

func TestQueueBuriesWhatFailsFiveTimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{fail: func(body string, _ int) bool { return body == "poison" }}
		dead := deliver(t, r, "good", "poison")
		if !slices.Equal(dead, []string{"poison"}) || r.seen["poison"] != maxReceives {
			t.Errorf("buried %v after %d deliveries", dead, r.seen["poison"])
		}
	})
}

func TestQueueTakesAnErrorForAllOfTheBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{err: errors.New("no database")}
		if dead := deliver(t, r, "a", "b"); len(dead) != 2 || r.seen["a"] != maxReceives {
			t.Errorf("buried %v after %v", dead, r.seen)
		}
	})
}

func TestQueueSurvivesAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &recorder{crash: true}
		if dead := deliver(t, r, "a"); len(dead) > 0 || r.seen["a"] != 2 {
			t.Errorf("buried %v after %v", dead, r.seen)
		}
	})
}

func TestQueueFinishesWhatItBeganWhenItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		finished := false
		slow := func(ctx context.Context, _ events.SQSEvent) (events.SQSEventResponse, error) {
			select {
			case <-ctx.Done():
			case <-time.After(time.Second):
				finished = true
			}
			return events.SQSEventResponse{}, nil
		}
		q := newQueue(nil, slog.New(slog.DiscardHandler))
		q.send("a")
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Millisecond, cancel)
		q.run(ctx, slow, 2*time.Second)
		if !finished {
			t.Error("the batch in hand was cut off")
		}
	})
}
