package migrate

import (
	"context"
	"errors"
	"iter"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"trackstore/shared/track"
)

// One statement marks up to removeBatch copies, and none waits longer than removeDelay for others.
const (
	removeBatch = 100
	removeDelay = 50 * time.Millisecond
	// freshLook is how long a look at marks and uses is good for.
	freshLook = time.Minute
)

// all looks at copies, many at once, and ends those that are doomed, a batch at a time.
func (p *purge) all(
	ctx context.Context, copies iter.Seq2[track.Copies, error],
	look func(context.Context, track.Copies) (*track.DoomedFile, error), end func(context.Context, []track.DoomedFile) error,
) error {
	group, ctx := errgroup.WithContext(ctx)
	ready := make(chan track.DoomedFile, removeBatch)
	group.Go(func() error {
		defer close(ready)
		every := func(track.Copies) bool { return true }
		return each(ctx, p.untilEnough(p.Chosen(copies)), every, func(ctx context.Context, c track.Copies) error {
			doomed, err := look(ctx, c)
			if doomed == nil || err != nil {
				return err
			}
			select {
			case ready <- *doomed:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	})
	group.Go(func() error {
		for first := range ready {
			batch := gather(ready, first, removeDelay, func(n int) bool { return n == removeBatch })
			if err := end(ctx, batch); err != nil {
				return err
			}
		}
		return nil
	})
	return group.Wait()
}

// remove marks and removes copies that were compared.
func (p *purge) remove(ctx context.Context, batch []track.DoomedFile) error {
	batch, err := p.unshared(ctx, batch)
	if err != nil {
		return err
	}
	batch = slices.DeleteFunc(batch, func(track.DoomedFile) bool { return !p.take() })
	if len(batch) == 0 || p.DryRun {
		return p.finish(ctx, batch)
	}
	// R6: the marks go first. From here on no rollback uses these files, and a crash leaves marked
	// files, which the next purge or the sweep removes. So does an answer that was lost: what the first call marked,
	// the second one does not.
	// Not held: it was replaced, deleted or rolled back meanwhile.
	held, err := those(ctx, batch, func(ctx context.Context, batch []track.DoomedFile) ([]bool, error) {
		return p.Purges.Mark(ctx, batch, p.grace)
	})
	if err != nil {
		return err
	}
	return p.finish(ctx, held)
}

// finish removes marked copies. A rollback of another track that names the same file may
// have looked before the mark was there: its lease, or the row that it made local, shows.
// One that claims after this look finds the mark. So the mark stays even where the file does:
// another purge may have looked earlier, and be about to remove it. R8: whoever was stopped since the mark
// looks whether it holds.
func (p *purge) finish(ctx context.Context, batch []track.DoomedFile) error {
	if p.DryRun {
		for _, d := range batch {
			p.removed(d.Copies)
		}
		return nil
	}
	batch, err := p.unshared(ctx, batch)
	if err == nil {
		batch, err = those(ctx, batch, p.Purges.IsMarked) // the others are for whoever marks them next
	}
	if err != nil {
		return err
	}
	looked := time.Now().Round(0) // also of a machine that was asleep
	var gone []track.DoomedFile
	var paths []string
	for i, d := range batch {
		if time.Since(looked) > freshLook {
			return errors.Join(p.note(ctx, gone, paths), p.finish(ctx, batch[i:]))
		}
		err := patiently(ctx, firstBackoff, func() error { return p.unlink(d) })
		switch {
		case errors.Is(err, track.ErrPlace) || ctx.Err() != nil:
			return errors.Join(p.note(ctx, gone, paths), err)
		case track.IsRetryable(err):
			_ = p.keep(finding(LocalUnreadable, d.Copies, "marked, and not removed yet; the next purge goes on with it: "+err.Error()))
		case err != nil:
			_ = p.keep(finding(LocalUnreadable, d.Copies, err.Error()))
		default:
			gone, paths = append(gone, d), append(paths, d.Marks...)
		}
	}
	return p.note(ctx, gone, paths)
}

// unlink removes the file itself, then the link that led to it. It may be repeated.
func (p *purge) unlink(d track.DoomedFile) error {
	for _, path := range d.Marks {
		if err := p.Files.RemoveFile(path); err != nil && !errors.Is(err, track.ErrNotFound) {
			return err
		}
	}
	return nil
}

// note notes that copies are gone. A crash before it leaves notes of files that are not there: the next purge finds nothing to
// remove, and says the same.
func (p *purge) note(ctx context.Context, gone []track.DoomedFile, paths []string) error {
	if len(gone) == 0 {
		return nil
	}
	if err := patiently(ctx, firstBackoff, func() error { return p.Purges.Unlinked(ctx, paths) }); err != nil {
		return err
	}
	for _, d := range gone {
		p.removed(d.Copies)
	}
	return nil
}

// those returns the copies of which a question is answered with yes.
func those(ctx context.Context, batch []track.DoomedFile, ask func(context.Context, []track.DoomedFile) ([]bool, error)) (yes []track.DoomedFile, err error) {
	if len(batch) == 0 {
		return nil, nil
	}
	var said []bool
	err = patiently(ctx, firstBackoff, func() (err error) {
		said, err = ask(ctx, batch)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, d := range batch {
		if said[i] {
			yes = append(yes, d)
		}
	}
	return yes, nil
}

// unshared returns the copies that no other track needs. The others are kept.
func (p *purge) unshared(ctx context.Context, batch []track.DoomedFile) (alone []track.DoomedFile, err error) {
	if len(batch) == 0 {
		return nil, nil
	}
	var inUse []bool
	err = patiently(ctx, firstBackoff, func() (err error) {
		inUse, err = p.Purges.InUse(ctx, batch, p.grace)
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, d := range batch {
		var id track.FileIdentity
		err := patiently(ctx, firstBackoff, func() (err error) {
			id, err = p.Files.Identity(d.FilePath)
			return err
		})
		switch {
		case saysNothing(err):
			return nil, err
		case err != nil && !errors.Is(err, track.ErrNotFound):
			_ = p.keep(finding(LocalUnreadable, d.Copies, err.Error()))
		case inUse[i] || err == nil && p.needed.Has(d.FilePath, id):
			_ = p.keep(finding(LocalShared, d.Copies, "another track needs the same file: it is local, or was within the grace"))
		default:
			alone = append(alone, d)
		}
	}
	return alone, nil
}
