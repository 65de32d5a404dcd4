package main

import (
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// newProgress returns what draws bars on a terminal, and nil where w is none.
func newProgress(w io.Writer) *mpb.Progress {
	if f, ok := w.(*os.File); !ok || !isatty.IsTerminal(f.Fd()) {
		return nil
	}
	return mpb.New(mpb.WithOutput(w), mpb.WithWidth(40))
}

// bars shows the progress of several files. A nil one shows nothing.
type bars struct{ p *mpb.Progress }

func newBars(w io.Writer) *bars {
	if p := newProgress(w); p != nil {
		return &bars{p}
	}
	return nil
}

// add shows a bar of size bytes until done is called.
func (b *bars) add(name string, size int64) (add func(int64), done func()) {
	if b == nil {
		return func(int64) {}, func() {}
	}
	bar := b.p.AddBar(size,
		mpb.BarRemoveOnComplete(),
		mpb.PrependDecorators(decor.Name(name, decor.WCSyncSpaceR), decor.CountersKibiByte("% .1f / % .1f")),
		mpb.AppendDecorators(decor.AverageSpeed(decor.SizeB1024(0), "% .1f", decor.WCSyncSpace), decor.AverageETA(decor.ET_STYLE_GO, decor.WCSyncSpace)))
	return func(n int64) { bar.IncrInt64(n) }, func() { bar.Abort(true) }
}

// println writes a line above the bars, or to w.
func (b *bars) println(w io.Writer, line string) {
	if b != nil {
		w = b.p
	}
	fmt.Fprintln(w, line)
}

// wait ends the bars; nothing may be added after it.
func (b *bars) wait() {
	if b != nil {
		b.p.Wait()
	}
}
