package migrate

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"trackstore/shared/track"
)

const (
	// stillFor is how long a PUT may stand still before it is sent once more: with no byte of it asked for, and no answer.
	stillFor = 2 * time.Second
	// One PUT in perHedge is sent twice, at most, and mostHedges at the beginning: on a slow line all of them stand still,
	// and to send them all twice would make it slower.
	perHedge   = 16
	mostHedges = 8
)

// hedges is how many PUTs may be sent twice.
type hedges struct{ earned atomic.Int64 } // in parts of 1/perHedge

func newHedges() *hedges {
	h := &hedges{}
	h.earned.Store(mostHedges * perHedge)
	return h
}

func (h *hedges) earn() {
	if h.earned.Load() < mostHedges*perHedge {
		h.earned.Add(1)
	}
}

func (h *hedges) spend() bool {
	if h.earned.Add(-perHedge) >= 0 {
		return true
	}
	h.earned.Add(perHedge)
	return false
}

// create is Bucket.Create, sent once more, over another connection, where it stands still: its own may have died without a
// word. The answer that settles it first counts.
//
// Both send the same bytes to the same key, which fixes them (R1). So if S3 takes the one, the other is refused, and
// track.ErrExists has the object looked at; and one that is given up here and lands later does no harm. A crash leaves, as
// ever, at most an object that no row names.
func (u *Upload) create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (track.Object, error) {
	ctx, giveUp := context.WithCancel(ctx)
	defer giveUp()
	c := &creation{body: newWatched(body)}
	c.send = func() (track.Object, error) {
		object, err := u.Bucket.Create(ctx, spec, c.body)
		if err == nil || errors.Is(err, track.ErrExists) {
			giveUp() // the other one
		}
		return object, err
	}
	defer c.body.end()
	stop := c.watch(u.hedges)
	object, err := c.send()
	stop()
	if c.again == nil {
		u.hedges.earn()
		return object, err
	}
	<-c.again
	if err == nil || errors.Is(err, track.ErrExists) {
		return object, err
	}
	return c.object, c.err
}

// creation is a PUT that may be sent twice.
type creation struct {
	body *watched
	send func() (track.Object, error)

	mu     sync.Mutex
	isOver bool          // the first one
	again  chan struct{} // closed when the second one is over; nil: there is none
	object track.Object  // that it made
	err    error
}

// watch sends it once more when it stands still, until stop is called.
func (c *creation) watch(allowed *hedges) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var still *time.Timer
	still = time.AfterFunc(stillFor, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch left := stillFor - c.body.idle(); {
		case c.isOver:
		case left > 0:
			still.Reset(left)
		case !allowed.spend():
			still.Reset(stillFor)
		default:
			c.again = make(chan struct{})
			go func() {
				defer close(c.again)
				c.object, c.err = c.send()
			}()
		}
	})
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.isOver = true
		still.Stop()
	}
}

// watched tells how long nothing was read of a body that is being sent, and gives it back when it is over: an HTTP client may go
// on sending for a moment after it has returned, because it was given up or the answer came early, and the bytes are another
// file's by then.
type watched struct {
	io.ReaderAt
	reading atomic.Int32
	last    atomic.Int64 // when a reading ended, in Unix time, ns

	mu     sync.RWMutex // held while a reading is under way
	isOver bool
}

func newWatched(r io.ReaderAt) *watched {
	w := &watched{ReaderAt: r}
	w.last.Store(time.Now().UnixNano())
	return w
}

// end waits for the readings that are under way, and refuses all that come later.
func (w *watched) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.isOver = true
}

// ReadAt is that of io.ReaderAt; after end it is io.ErrClosedPipe.
func (w *watched) ReadAt(p []byte, offset int64) (int, error) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	if w.isOver {
		return 0, io.ErrClosedPipe
	}
	w.reading.Add(1)
	defer func() {
		w.last.Store(time.Now().UnixNano())
		w.reading.Add(-1)
	}()
	return w.ReaderAt.ReadAt(p, offset)
}

// idle is how long nothing was read. A reading that waits, for bandwidth, is one.
func (w *watched) idle() time.Duration {
	if w.reading.Load() > 0 {
		return 0
	}
	return time.Since(time.Unix(0, w.last.Load()))
}
