package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"sync/atomic"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"trackstore/shared/diskstore"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// lookBar shows how many tracks a command has looked at that moves none, and how many files and objects it has listed. The
// nil one shows nothing.
type lookBar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
	listed   atomic.Int64
}

// look returns nil where standard error is no terminal. The total is what the database knows before.
func (m *migration) look(total int64) *lookBar {
	p := newProgress(m.stderr)
	if p == nil {
		return nil
	}
	b := &lookBar{progress: p}
	b.bar = p.AddBar(max(total, 1),
		mpb.PrependDecorators(decor.CountersNoUnit("%d / %d tracks looked at")),
		mpb.AppendDecorators(decor.Any(b.listedText), decor.Elapsed(decor.ET_STYLE_GO), decor.Name(" ETA "), decor.AverageETA(decor.ET_STYLE_GO)))
	return b
}

func (b *lookBar) listedText(decor.Statistics) string {
	if n := b.listed.Load(); n > 0 {
		return humanize.Comma(n) + " files and objects listed  "
	}
	return ""
}

// list counts a file or an object. How many there are nobody knows before.
func (b *lookBar) list() {
	if b != nil {
		b.listed.Add(1)
	}
}

// track counts one more track.
func (b *lookBar) track() {
	if b != nil {
		b.bar.Increment()
	}
}

// println writes a line to w. Where that is a terminal, too, it goes above the bar.
func (b *lookBar) println(w io.Writer, line string) {
	if b != nil && isatty.IsTerminal(os.Stdout.Fd()) {
		w = b.progress
	}
	fmt.Fprintln(w, line)
}

// stop leaves the bar as it is and waits until it is drawn.
func (b *lookBar) stop() {
	if b != nil {
		b.bar.Abort(false)
		b.progress.Wait()
	}
}

// counted tells of each that is yielded: a command that walks through them looks at each at once.
func counted[T any](count func(), all iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for one, err := range all {
			if !yield(one, err) {
				return
			}
			count()
		}
	}
}

// listedDisk is the disk, whose files are counted while an audit lists them.
type listedDisk struct {
	*diskstore.Store
	bar *lookBar
}

// List is that of the store.
func (d listedDisk) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	return counted(d.bar.list, d.Store.List(ctx, prefix))
}

// listedBucket is the bucket, whose objects are counted while an audit lists them.
type listedBucket struct {
	*s3store.Store
	bar *lookBar
}

// List is that of the store.
func (b listedBucket) List(ctx context.Context, prefix string) iter.Seq2[track.Object, error] {
	return counted(b.bar.list, b.Store.List(ctx, prefix))
}

// Versions is that of the store.
func (b listedBucket) Versions(ctx context.Context, prefix, after string) iter.Seq2[track.Object, error] {
	return counted(b.bar.list, b.Store.Versions(ctx, prefix, after))
}

// countedLedger is the database, whose tracks are counted while a command walks through them.
type countedLedger struct {
	*pgstore.Store
	bar *lookBar
}

// Purgeable is that of the store.
func (l countedLedger) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return counted(l.bar.track, l.Store.Purgeable(ctx, grace))
}

// Stored is that of the store.
func (l countedLedger) Stored(ctx context.Context) iter.Seq2[track.Copies, error] {
	return counted(l.bar.track, l.Store.Stored(ctx))
}

// Candidates is that of the store.
func (l countedLedger) Candidates(ctx context.Context, d track.Direction, which track.Selection) iter.Seq2[track.Candidate, error] {
	return counted(l.bar.track, l.Store.Candidates(ctx, d, which))
}

// countedReads is the bucket, whose objects a verification counts: of a sample it reads those alone.
type countedReads struct {
	*s3store.Store
	bar *lookBar
}

// Read is that of the store.
func (b countedReads) Read(ctx context.Context, key string) (track.Object, io.ReadCloser, error) {
	object, body, err := b.Store.Read(ctx, key)
	b.bar.track()
	return object, body, err
}

// partly says on standard error how far a command came whose work could not be done. It writes no summary, which would read
// as if the work had been done.
func (m *migration) partly(format string, args ...any) {
	fmt.Fprintf(m.stderr, "trackstore: it ended early: "+format+"\n", args...)
}
