package main

import (
	"context"
	"fmt"
	"io"
	"iter"
	"os"
	"time"

	"github.com/mattn/go-isatty"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
)

// lookBar shows how many tracks a command has looked at that moves none. The nil one shows nothing.
type lookBar struct {
	progress *mpb.Progress
	bar      *mpb.Bar
}

// look returns nil where standard error is no terminal. The total is what the database knows before.
func (m *migration) look(total int64) *lookBar {
	p := newProgress(m.stderr)
	if p == nil {
		return nil
	}
	return &lookBar{p, p.AddBar(max(total, 1),
		mpb.PrependDecorators(decor.CountersNoUnit("%d / %d tracks looked at")),
		mpb.AppendDecorators(decor.Elapsed(decor.ET_STYLE_GO), decor.Name(" ETA "), decor.AverageETA(decor.ET_STYLE_GO)))}
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

// counted tells the bar of each track that is yielded: a command that walks through them looks at each at once.
func counted[T any](b *lookBar, tracks iter.Seq2[T, error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for one, err := range tracks {
			if !yield(one, err) {
				return
			}
			b.track()
		}
	}
}

// countedLedger is the database, whose tracks are counted while a command walks through them.
type countedLedger struct {
	*pgstore.Store
	bar *lookBar
}

// Purgeable is that of the store.
func (l countedLedger) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return counted(l.bar, l.Store.Purgeable(ctx, grace))
}

// Stored is that of the store.
func (l countedLedger) Stored(ctx context.Context) iter.Seq2[track.Copies, error] {
	return counted(l.bar, l.Store.Stored(ctx))
}

// Candidates is that of the store.
func (l countedLedger) Candidates(ctx context.Context, d track.Direction, which track.Selection) iter.Seq2[track.Candidate, error] {
	return counted(l.bar, l.Store.Candidates(ctx, d, which))
}

// countedReads is the bucket, whose objects a verification counts: of a sample it asks for those alone.
type countedReads struct {
	*s3store.Store
	bar *lookBar
}

// Head is that of the store.
func (b countedReads) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	object, err := b.Store.Head(ctx, key, versionID)
	b.bar.track()
	return object, err
}

// partly says on standard error how far a command came whose work could not be done. It writes no summary, which would read
// as if the work had been done.
func (m *migration) partly(format string, args ...any) {
	fmt.Fprintf(m.stderr, "trackstore: it ended early: "+format+"\n", args...)
}
