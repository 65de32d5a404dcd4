package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// moveBar shows how many of the tracks are moved, the bytes of how many, the rate, the failures, and
// the time that is left. The nil one shows nothing.
type moveBar struct {
	progress     *mpb.Progress
	bar          *mpb.Bar
	bytes, total atomic.Int64
	failures     atomic.Int64
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
				return volumeText(volume{b.bytes.Load(), b.total.Load(), b.failures.Load()}, time.Since(started))
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

// moved shows how many bytes were moved so far, of about how many.
func (b *moveBar) moved(bytes, total int64) {
	if b != nil {
		b.bytes.Store(bytes)
		b.total.Store(total)
	}
}

// volume is what a run has done so far.
type volume struct{ bytes, total, failures int64 }

// volumeText is such as: 2 failed  3.1 GiB of about 12 GiB  82 MiB/s.
func volumeText(v volume, since time.Duration) string {
	text := ""
	if v.failures > 0 {
		text = fmt.Sprintf("%d failed  ", v.failures)
	}
	text += bytesText(v.bytes)
	if v.total > v.bytes {
		text += " of about " + bytesText(v.total)
	}
	return text + "  " + bytesText(int64(float64(v.bytes)/since.Seconds())) + "/s"
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
