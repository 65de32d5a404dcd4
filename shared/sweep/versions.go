package sweep

import (
	"time"

	"trackstore/shared/track"
)

// versionsASweep is how many versions of a prefix one sweep looks through: twenty requests. The
// next sweep goes on from there.
const versionsASweep = 20_000

// sweepVersions removes what was written to a key after the version that a row pins, or beside
// it: a form that was sent again, a stray write. Nobody is served that, and nothing else removes
// it. Of keys that no row names the notes know, or an audit.
func (r *run) sweepVersions(b Backend) {
	for _, prefix := range []string{track.UploadsPrefix, track.MigratedPrefix} {
		r.walkOn(prefix, func(after string) string {
			last, err := r.sweepVersionsAfter(b, prefix, after)
			if err != nil {
				r.failed(err)
			}
			return last
		})
	}
}

// sweepVersionsAfter looks through the versions below prefix from the key after "after" on. It
// returns the last key that it saw to, and "" at the end.
func (r *run) sweepVersionsAfter(b Backend, prefix, after string) (last string, err error) {
	var versions []track.Object // of one key
	see := func() {
		if len(versions) > 1 {
			r.removeUnpinned(b, versions)
		}
		if len(versions) > 0 {
			after, versions = versions[0].Key, nil
		}
	}
	n := 0
	for v, err := range b.Versions(r.ctx, prefix, after) {
		if err != nil {
			return after, err
		}
		if len(versions) > 0 && versions[0].Key != v.Key {
			see()
			if n >= versionsASweep || !r.goOn() {
				return after, nil
			}
		}
		versions = append(versions, v)
		n++
	}
	see()
	return "", nil
}

// removeUnpinned removes those versions of a key that no row pins, once their grace is over, and that of the pinned one: a
// database that is restored may pin what this one does not any more. The
// rows are asked right before (R8). What is removed is a version by its id, which nothing can come
// to pin as long as the pinned one is there.
func (r *run) removeUnpinned(b Backend, versions []track.Object) {
	pinned, err := r.Store.PinnedVersions(r.ctx, versions[0].Key, r.Grace)
	if err != nil {
		r.failed(err)
		return
	}
	for _, v := range track.Unpinned(versions, pinned) {
		if time.Since(v.ModTime) < r.Grace {
			continue
		}
		if !r.DryRun {
			if err := b.RemoveVersion(r.ctx, v.Key, v.VersionID); err != nil {
				r.failed(err)
				continue
			}
		}
		r.did(Action{Do: "remove", Backend: track.S3, Key: v.Key, Why: "version " + v.VersionID + ", which no row pins"}, &r.counts.Removed)
	}
}
