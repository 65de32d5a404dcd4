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
				n := b.bytes.Load()
				return fmt.Sprintf("%s  %s/s", bytesText(n), bytesText(int64(float64(n)/time.Since(started).Seconds())))
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
