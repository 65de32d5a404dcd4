package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// moveBar shows how many of the tracks are moved, the bytes, the rate, and the time that is
// left. The nil one shows nothing.
type moveBar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	bytes    atomic.Int64
	failures atomic.Int64
}

// newMoveBar returns nil where w is no terminal.
func newMoveBar(w io.Writer, total int64) *moveBar {
	b := &moveBar{progress: newProgress(w)}
	if b.progress == nil {
		return nil
	}
	started := time.Now()
	b.bar = b.progress.AddBar(total,
		mpb.PrependDecorators(decor.CountersNoUnit("%d / %d tracks")),
		mpb.AppendDecorators(
			decor.Any(func(decor.Statistics) string {
				n, failed := b.bytes.Load(), ""
				if f := b.failures.Load(); f > 0 {
					failed = fmt.Sprintf("%d failed  ", f)
				}
				return failed + fmt.Sprintf("%s  %s/s", bytesText(n), bytesText(int64(float64(n)/time.Since(started).Seconds())))
			}, decor.WCSyncSpace),
			decor.Name(" ETA "), decor.AverageETA(decor.ET_STYLE_GO)))
	return b
}

// track counts one more track.
func (b *moveBar) track() {
	if b != nil {
		b.bar.Increment()
	}
}

// failed counts one of them as a failure.
func (b *moveBar) failed() {
	if b != nil {
		b.failures.Add(1)
	}
}

// moved shows how many bytes were moved so far.
func (b *moveBar) moved(bytes int64) {
	if b != nil {
		b.bytes.Store(bytes)
	}
}

// println writes a line above the bar, or to w.
func (b *moveBar) println(w io.Writer, line string) {
	if b != nil {
		w = b.progress
	}
	fmt.Fprintln(w, line)
}

// stop leaves the bar as it is and waits until it is drawn.
func (b *moveBar) stop() {
	if b == nil {
		return
	}
	b.bar.Abort(false)
	b.progress.Wait()
}
