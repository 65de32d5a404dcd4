package sweep

import (
	"errors"
	"slices"

	"trackstore/shared/track"
)

// removeIn is removeOne in the place that the note names. A bucket of earlier may be out of reach, or gone: then
// the note stays, and fails no sweep.
func (r *run) removeIn(b Backend, d track.Discard) (gone bool, noted int64, err error) {
	its, err := r.Elsewhere.Find(b, d.Bucket)
	if err == nil {
		gone, noted, err = r.removeOne(its, d)
	}
	if err != nil && its != b {
		r.did(removal("keep", d, "in the bucket "+d.Bucket+": "+err.Error()), &r.counts.Kept)
		return false, noted, nil
	}
	return gone, noted, err
}

// plain returns the note of the same file by its plain path, if this one's is not plain.
func (r *run) plain(d track.Discard) (plain track.Discard, isOdd bool) {
	if d.Backend != track.Local || r.Paths == nil {
		return d, false
	}
	paths, err := r.Paths.PlainPaths(d.Key)
	if err != nil || slices.Contains(paths, d.Key) {
		return d, false
	}
	d.Key = paths[0]
	return d, true
}

// named returns the discards that are for us to remove, and for each the other ways in
// which rows write its path. Files that are not under the root are left out: a platform's
// rows may name such.
func (r *run) named(due []track.Discard) (ours []track.Discard, names [][]string) {
	for _, d := range due {
		var others []string
		if d.Backend == track.Local && r.Paths != nil && !isFolder(d) {
			needed, err := r.needed()
			if err != nil {
				r.failed(err)
				return nil, nil
			}
			plain, err := r.Paths.PlainPaths(d.Key)
			switch {
			case err == nil:
				others = slices.Concat(plain, needed.Odd[plain[0]])
				id, err := r.Paths.Identity(d.Key)
				if err != nil && !errors.Is(err, track.ErrNotFound) {
					r.failed(err)
					continue
				}
				d.Needed = err == nil && needed.Has(d.Key, id)
			case errors.Is(err, track.ErrOutsideRoot):
				r.did(removal("keep", d, "outside the root folder"), &r.counts.Kept)
				continue
			case !errors.Is(err, track.ErrNotFound):
				r.failed(err)
				continue
			}
		}
		ours, names = append(ours, d), append(names, others)
	}
	return ours, names
}
