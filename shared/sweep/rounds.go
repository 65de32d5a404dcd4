package sweep

import "trackstore/shared/track"

const (
	partSize = 5 * batchSize
	// looksASweep is how many rows of a table that only grows one sweep looks at, of those that it has seen before.
	looksASweep = 5_000
)

// rounds has look go through a table, a part at a time, from where the last sweep has come to. The next sweep goes on
// from there, or begins anew after the end: so what is new is found when its turn comes, and a sweep costs the same however
// large the table is. A dry run looks at all. A crash before the position is kept has the same part looked at again.
func (r *run) rounds(name string, look func(after string) (track.LookedAt, error)) {
	if !r.goOn() {
		return
	}
	var after string
	if !r.DryRun {
		var err error
		if after, err = r.Store.SweepPosition(r.ctx, name); err != nil {
			r.failed(err)
			return
		}
	}
	begun := after
	for looked := 0; r.goOn() && (looked < looksASweep || r.DryRun); {
		of, err := look(after)
		if err != nil {
			r.failed(err)
			if of.Rows == 0 {
				break
			}
		}
		looked, after = looked+of.Rows, of.Next
		if of.Next == "" {
			break
		}
	}
	if r.DryRun || after == begun {
		return
	}
	if err := r.Store.KeepSweepPosition(r.ctx, name, after); err != nil {
		r.failed(err)
	}
}
