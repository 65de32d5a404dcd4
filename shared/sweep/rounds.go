package sweep

import (
	"math"

	"trackstore/shared/track"
)

const (
	partSize = 5 * batchSize
	// looksAgain is how many rows of a table that only grows one sweep looks at once more.
	looksAgain = 5_000
)

// rounds has look go through rows in the order of their times, a part at a time. First through all that no sweep has seen, so that
// sweeps keep up with however much comes. Then through some that were seen, from where the last sweep has come to, and from the
// beginning again after the end: for what could not be done at the time, and what came with an earlier time than others. So a
// sweep costs what is new, however large the table is. A dry run looks at all, again.
func (r *run) rounds(name string, look func(after string, again bool) (track.LookedAt, error)) {
	if !r.goOn() {
		return
	}
	again := func(after string) (track.LookedAt, error) { return look(after, true) }
	if r.DryRun {
		r.walk("", math.MaxInt, again)
		return
	}
	r.walkOn(name+", new", func(after string) string {
		at, _ := r.walk(after, math.MaxInt, func(after string) (track.LookedAt, error) { return look(after, false) })
		return at
	})
	r.walkOn(name, func(after string) string {
		at, isEnd := r.walk(after, looksAgain, again)
		if isEnd {
			return ""
		}
		return at
	})
}

// walkOn has walk go on from where the last sweep has come to, and keeps what it returns, but not of a dry run. A crash before
// the position is kept has the same part looked at once more.
func (r *run) walkOn(name string, walk func(after string) string) {
	after, err := r.Store.SweepPosition(r.ctx, name)
	if err != nil {
		r.failed(err)
		return
	}
	if at := walk(after); at != after && !r.DryRun {
		if err := r.Store.KeepSweepPosition(r.ctx, name, at); err != nil {
			r.failed(err)
		}
	}
}

// walk looks at most rows after a position, or a part more, while there is time. It returns the last position, and whether
// nothing comes after it.
func (r *run) walk(after string, most int, look func(after string) (track.LookedAt, error)) (last string, isEnd bool) {
	for looked := 0; looked < most && r.goOn(); {
		of, err := look(after)
		if err != nil {
			r.failed(err)
			if of.Rows == 0 {
				return after, false
			}
		}
		looked, after = looked+of.Rows, of.Last
		if of.IsEnd {
			return after, true
		}
	}
	return after, false
}
