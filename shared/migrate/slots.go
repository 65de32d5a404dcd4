package migrate

import (
	"context"
	"sync"
	"syscall"
	"time"
)

// slots decides how many copies run at once. Where a number is asked for, that is it. Else it finds out how many pay off: as
// many as S3 settles in the time that a copy takes when none has to queue, and as many again, for what comes unevenly. Both
// are measured. It begins with few, adds more at a steady pace until the first answer is there, and has found how many pay off
// a round trip or two later. It is halved when S3 says that it is too much.
type slots struct {
	mu      sync.Mutex
	max     int
	isFixed bool // max is what is asked for
	limit   int
	used    int
	changed chan struct{} // closed when a slot may have become free
	wanted  bool          // since the window began, somebody had to wait

	// The window that is measured.
	since time.Time
	count int // of so many copies, at least
	ended int
	took  time.Duration // all of them together

	rate      float64       // copies a second, of the best window; it fades
	alone     time.Duration // what a copy takes, in the window where that was least
	gain      float64
	throttled time.Time // when S3 complained last; zero: never
}

const (
	firstSlots = 16
	// Until the first answer is there, as many again are added each firstPace, up to mostUnanswered. What is far away is sent
	// that many by then; what is near has answered; and what is slow has them in a queue, and answers the first ones as if
	// there were no others.
	firstPace      = 6 * time.Millisecond
	mostUnanswered = 256
	// firstWindow is how many copies tell what the next ones may be, while nothing else does.
	firstWindow = 4 * firstSlots
	// firstGain is how many times as many are tried as long as that brings much more.
	firstGain, steadyGain = 4, 2
	muchMore              = 1.5
	shortestWindow        = 25 * time.Millisecond
	// calm is for how long there are no more slots after S3 complained.
	calm = 10 * time.Second
)

// newSlots returns exactly so many slots, or, where that is AsManyAsPay, as many as pay off, up to MaxWorkers.
func newSlots(workers int) *slots {
	s := &slots{max: workers, limit: workers, isFixed: true, gain: firstGain, changed: make(chan struct{})}
	if workers == AsManyAsPay {
		s.max, s.isFixed = mostWorkers(), false
		s.limit = min(firstSlots, s.max)
	}
	s.count = s.limit
	return s
}

// mostWorkers is MaxWorkers, or fewer where the process may not open as many files: each copy has one or two, and a connection,
// and for a moment the folder and the file once more.
func mostWorkers() int {
	const each, others = 5, 100
	var files syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files) != nil || files.Cur > (MaxWorkers+1)*each+others {
		return MaxWorkers
	}
	return min(MaxWorkers, max(1, (int(files.Cur)-others)/each))
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
			if s.since.IsZero() {
				s.since = time.Now()
				time.AfterFunc(firstPace, s.addUnanswered)
			}
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

// addUnanswered adds slots, again and again, until there is a first answer.
func (s *slots) addUnanswered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	most := min(mostUnanswered, s.max)
	if s.isFixed || s.ended > 0 || s.alone > 0 || !s.throttled.IsZero() || s.limit >= most {
		return
	}
	s.limit = min(s.limit+firstSlots, most)
	s.tell()
	time.AfterFunc(firstPace, s.addUnanswered)
}

// tell wakes whoever waits for a slot.
func (s *slots) tell() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// release gives a slot back after a copy that took so long, and tells whether S3 complained. One that came to nothing, and
// says nothing of S3, took 0.
func (s *slots) release(took time.Duration, throttled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used--
	now := time.Now()
	switch {
	case throttled:
		// Once for all the copies that were under way at that moment.
		if now.Sub(s.throttled) > time.Second {
			s.limit = max(1, s.limit/2)
			s.throttled, s.rate = now, 0
			s.begin(now)
		}
	case took > 0:
		s.ended++
		s.took += took
		if elapsed := now.Sub(s.since); s.ended >= s.count && elapsed >= shortestWindow {
			s.adapt(now, float64(s.ended)/elapsed.Seconds(), s.took/time.Duration(s.ended))
			s.begin(now)
		}
	}
	s.tell()
}

// begin begins a window: of as many copies as there are slots, so that what these bring is seen.
func (s *slots) begin(now time.Time) {
	s.since, s.ended, s.took, s.wanted = now, 0, 0, false
	s.count = s.limit
	if s.rate == 0 {
		s.count = min(s.limit, firstWindow)
	}
}

// adapt looks at the window that has just ended: at so many copies a second, which took so long.
func (s *slots) adapt(now time.Time, rate float64, took time.Duration) {
	isFirst := s.alone == 0
	if isFirst || took < s.alone {
		s.alone = took
	}
	if isFirst && s.limit > firstSlots && !s.isFixed {
		// They were few, and are answered. The others will be at the pace at which they were begun, if S3 keeps up with it.
		s.gain = steadyGain
		return
	}
	if !s.wanted || now.Sub(s.throttled) < calm {
		return // whatever the rate is, it is not these slots'
	}
	if rate < s.rate*muchMore {
		s.gain = steadyGain
	}
	s.rate = max(rate, s.rate*0.95)
	goal := max(firstSlots, int(s.gain*s.rate*s.alone.Seconds()))
	if s.isFixed {
		goal = s.max
	}
	if !s.throttled.IsZero() { // S3's own limit is near
		goal = min(goal, s.limit+max(2, s.limit/8))
	}
	s.limit = min(goal, s.max)
}
