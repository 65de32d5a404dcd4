package migrate

import (
	"context"
	"sync"
	"time"
)

// slots decides how many copies run at once. It starts low, goes up while that gives more
// throughput, and is halved when S3 says that it is too much.
type slots struct {
	mu      sync.Mutex
	max     int
	limit   int
	used    int
	changed chan struct{} // closed when a slot may have become free
	wanted  bool          // since the window began, somebody had to wait

	since     time.Time // of the window that is measured
	work      float64   // done in it
	best      float64   // work a second, of the best window so far
	calmUntil time.Time // no rise before this, after S3 complained
}

const (
	firstSlots = 16
	window     = 200 * time.Millisecond
	calm       = 10 * time.Second
	// overhead is what a file costs beside its bytes, in bytes.
	overhead = 128 << 10
)

func newSlots(most int) *slots {
	return &slots{max: most, limit: min(firstSlots, most), changed: make(chan struct{}), since: time.Now()}
}

// size returns how many copies may run at once now.
func (s *slots) size() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit
}

// acquire waits for a slot. It fails when ctx ends before there is one.
func (s *slots) acquire(ctx context.Context) error {
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		s.mu.Lock()
		if s.used < s.limit {
			s.used++
			s.mu.Unlock()
			return nil
		}
		s.wanted = true
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
		}
	}
}

// release gives a slot back after a copy of so many bytes, and tells how S3 took it.
func (s *slots) release(bytes int64, throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	s.work += float64(bytes + overhead)
	now := time.Now()
	if throttled {
		// Once for all the copies that were under way at that moment.
		if now.After(s.calmUntil.Add(-calm + time.Second)) {
			s.limit = max(1, s.limit/2)
			s.calmUntil, s.best = now.Add(calm), 0
		}
	} else if elapsed := now.Sub(s.since); elapsed >= window {
		s.adapt(now, s.work/elapsed.Seconds())
	}
	close(s.changed)
	s.changed = make(chan struct{})
}

// adapt looks at the window that has just ended.
func (s *slots) adapt(now time.Time, rate float64) {
	if rate > s.best*1.05 && s.wanted && now.After(s.calmUntil) {
		s.limit = min(s.max, s.limit+max(2, s.limit/2))
	}
	// The best fades, so that better times are noticed.
	s.best = max(rate, s.best*0.98)
	s.since, s.work, s.wanted = now, 0, false
}
