package migrate

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// workFor runs copies for a while, as many at once as there are slots; each takes as long as
// the number of those that may run says.
func workFor(s *slots, d time.Duration, takes func(atOnce int) time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan struct{})
	running := 0
	for s.acquire(ctx) == nil {
		running++
		go func() {
			began := time.Now()
			time.Sleep(takes(s.size()))
			s.release(time.Since(began), false)
			done <- struct{}{}
		}()
		for drained := false; !drained; {
			select {
			case <-done:
				running--
			default:
				drained = true
			}
		}
	}
	for ; running > 0; running-- {
		<-done
	}
}

// queue is a server that takes so many copies at once, for d each: the others wait for their turn.
func queue(atOnce int, d time.Duration) func(int) time.Duration {
	var mu sync.Mutex
	free := make([]time.Time, atOnce)
	return func(int) time.Duration {
		mu.Lock()
		defer mu.Unlock()
		slices.SortFunc(free, time.Time.Compare)
		if free[0].Before(time.Now()) {
			free[0] = time.Now()
		}
		free[0] = free[0].Add(d)
		return time.Until(free[0])
	}
}

func TestSlotsGrowWhileThatIsFaster(t *testing.T) {
	t.Parallel()
	constant := func(d time.Duration) func(int) time.Duration { return func(int) time.Duration { return d } }
	for name, test := range map[string]struct {
		workers, least, greatest int
		span                     time.Duration
		takes                    func(atOnce int) time.Duration
	}{
		"a server that takes any number":    {AsManyAsPay, mostWorkers(), mostWorkers(), time.Second, constant(50 * time.Millisecond)},
		"one that is far away":              {AsManyAsPay, mostWorkers(), mostWorkers(), time.Second, constant(80 * time.Millisecond)},
		"--workers":                         {20, 20, 20, time.Millisecond, constant(50 * time.Millisecond)},
		"more than it would find by itself": {2000, 2000, 2000, time.Second, constant(50 * time.Millisecond)},
		"a server that takes 16 at once":    {AsManyAsPay, 16, 40, 20 * time.Second, func(n int) time.Duration { return time.Duration(n) * 3 * time.Millisecond }},
		"one that is far away, at once":     {AsManyAsPay, 400, mostWorkers(), 210 * time.Millisecond, constant(80 * time.Millisecond)},
		"16 at once, and others in a queue": {AsManyAsPay, 16, 40, 20 * time.Second, queue(16, 100*time.Millisecond)},
		"one that takes 100 at a distance": {AsManyAsPay, 150, 300, 2 * time.Second, func(n int) time.Duration {
			return max(80*time.Millisecond, time.Duration(n)*800*time.Microsecond)
		}},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSlots(test.workers)
			workFor(s, test.span, test.takes)
			if n := s.size(); n < test.least || n > test.greatest {
				t.Errorf("%s: %d slots", name, n)
			}
			if s.used != 0 {
				t.Errorf("%s: %d slots are still used", name, s.used)
			}
		})
	}
}

func TestSlotsAreHalvedOnceForOneComplaint(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSlots(16)
		for range 16 {
			if err := s.acquire(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		for range 10 { // all of them are told at the same moment
			s.release(0, true)
		}
		if n := s.size(); n != 8 {
			t.Errorf("%d slots after the first complaint", n)
		}
		time.Sleep(2 * time.Second)
		s.release(0, true)
		if n := s.size(); n != 4 {
			t.Errorf("%d slots after the second", n)
		}
		for range 5 {
			time.Sleep(2 * time.Second)
			s.release(0, true)
		}
		if n := s.size(); n != 1 {
			t.Errorf("%d slots in the end", n)
		}
	})
}
