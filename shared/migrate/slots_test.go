package migrate

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// work runs copies for a while, as many at once as there are slots; each takes as long as
// its number among those at once says.
func workFor(s *slots, d time.Duration, takes func(atOnce int) time.Duration) {
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	done := make(chan struct{})
	running := 0
	for s.acquire(ctx) == nil {
		running++
		go func() {
			time.Sleep(takes(s.size()))
			s.release(1<<20, false)
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

func TestSlotsGrowWhileThatIsFaster(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		most, least, greatest int
		takes                 func(atOnce int) time.Duration
	}{
		"a server that takes any number": {128, 128, 128, func(int) time.Duration { return 50 * time.Millisecond }},
		"--workers":                      {20, 20, 20, func(int) time.Duration { return 50 * time.Millisecond }},
		"fewer than it begins with":      {3, 3, 3, func(int) time.Duration { return 50 * time.Millisecond }},
		"a server that takes 16 at once": {128, 16, 64, func(n int) time.Duration { return time.Duration(n) * 3 * time.Millisecond }},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSlots(test.most)
			workFor(s, 20*time.Second, test.takes)
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
		s := newSlots(128)
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
