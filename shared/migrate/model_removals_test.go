package migrate_test

// The model of removals (R6, R8): a track on disk, the object that a move made, or is making, and
// two sweeps, each of which may be stopped between its mark and its removal for as long as it
// takes. The track is rolled back, deleted, and undeleted also when its grace is over: a
// function that has no disk removes objects alone.

// note is how far a note of a removal has come.
type note uint8

const (
	noNote note = iota
	noted
	due         // its grace is over
	marked      // a sweep is about to remove the bytes
	stale       // the mark is older than a grace
	gone        // so are the bytes
	forgettable // for longer than a grace
)

// after returns a note when a grace has passed.
func (n note) after() note {
	switch n {
	case noted, marked, gone:
		return n + 1
	}
	return n
}

// again returns a note of bytes that are given up now. A mark stays while the bytes may be there.
func (n note) again() note {
	if n == marked || n == stale {
		return n
	}
	return noted
}

func (n note) isMarked() bool { return n >= marked }

type sweeper struct {
	at place
	of uint8 // which note
}

type removalsWorld struct {
	s3, deleted, aged bool // aged: the deletion is older than the grace
	listed            bool // what it leaves is noted, or was gone when it was
	object            bool
	note              note
	number            uint8 // of the note: one that is dropped and made anew is another
	worker            place
	sweeps            [2]sweeper

	// What may still happen.
	graces, deletions, rollbacks uint8
}

// theLease keeps a note for as long as a worker may have seen the bytes that are gone.
const theLease rule = "the lease"

func newRemovals() removalsWorld { return removalsWorld{graces: 4, deletions: 2, rollbacks: 2} }

// violation: the file on disk stays, so only an object can be lacking.
func (w removalsWorld) violation() string {
	if w.s3 && !w.deleted && !w.object {
		return "lost"
	}
	return ""
}

func (w removalsWorld) isKept() bool { return !w.deleted || !w.aged }

// next returns all steps that are possible in w.
func (w removalsWorld) next(without rule) []step[removalsWorld] {
	possible := stepsFrom(w)
	may := possible.may
	may(w.worker == idle && !w.s3 && !w.deleted, 0, "worker claims", func(w *removalsWorld) { w.worker = claimed })
	may(w.worker == claimed, 0, "worker puts", func(w *removalsWorld) { w.worker, w.object = copied, true })
	may(w.worker == copied, 0, "worker flips", func(w *removalsWorld) { w.flip(without) })
	may(w.worker != idle, 0, "worker dies", func(w *removalsWorld) { w.worker = idle })
	may(w.s3 && !w.deleted && w.rollbacks > 0, 0, "rollback", func(w *removalsWorld) { w.rollbacks--; w.s3 = false })
	may(!w.deleted && w.deletions > 0, 0, "user deletes", func(w *removalsWorld) { w.deletions--; w.deleted, w.listed = true, false })
	may(w.deleted && (!w.s3 || w.object && !w.note.isMarked()), 0, "user undeletes", func(w *removalsWorld) { w.deleted, w.aged = false, false })
	may(w.graces > 0, 0, "a grace passes", func(w *removalsWorld) {
		w.graces--
		w.note, w.aged = w.note.after(), w.deleted
	})
	may(!w.isKept() && !w.listed, 0, "sweep notes", func(w *removalsWorld) {
		if w.listed = true; (w.note == noNote || w.note >= gone) && (w.s3 || w.object) { // what it names, and what it finds
			w.renote(due)
		}
	})
	may(w.note == forgettable && (w.worker == idle || without == theLease), 0, "sweep forgets", func(w *removalsWorld) { w.note = noNote })
	for i, s := range w.sweeps {
		n := uint8(i + 1)
		may(s.at == idle && w.note >= due && w.note < gone, n, "sweep marks", func(w *removalsWorld) { w.mark(i) })
		may(s.at == claimed, n, "sweep removes", func(w *removalsWorld) { w.remove(i, without) })
		may(s.at == copied, n, "sweep is done", func(w *removalsWorld) {
			w.sweeps[i] = sweeper{}
			if s.of == w.number && w.note.isMarked() {
				w.note, w.listed = gone, w.listed || w.deleted
			}
		})
		may(s.at != idle, n, "sweep dies", func(w *removalsWorld) { w.sweeps[i] = sweeper{} })
	}
	return possible.all
}

// renote enters a note of its own.
func (w *removalsWorld) renote(n note) {
	w.note = n
	w.number++
}

// canonical numbers the notes anew: it only matters which of them is the one of now.
func (w removalsWorld) canonical() removalsWorld {
	for i, s := range w.sweeps {
		if s.at != idle {
			w.sweeps[i].of = flag(s.of == w.number)
		}
	}
	w.number = 1
	if a, b := w.sweeps[0], w.sweeps[1]; a.at > b.at || a.at == b.at && a.of > b.of {
		w.sweeps = [2]sweeper{b, a}
	}
	return w
}

// flip is the statement settle_to_s3, and what a worker does with its verdict.
func (w *removalsWorld) flip(without rule) {
	w.worker = idle
	switch {
	case w.deleted && w.note == noNote:
		w.renote(noted)
	case w.deleted:
	case w.note >= gone && without != r6:
		w.note, w.worker = noNote, claimed // it makes the bytes anew
	case w.note.isMarked() && without != r6:
		w.worker = copied // it waits
	default:
		w.s3 = true
		if !w.note.isMarked() {
			w.note = noNote
		}
	}
}

// mark is the statement mark_discards: what is named, or is about to be, is not marked.
func (w *removalsWorld) mark(i int) {
	if w.isKept() && (w.s3 || w.note == due) {
		w.note = noNote
		return
	}
	w.note, w.sweeps[i] = marked, sweeper{claimed, w.number}
}

// remove looks at the mark once more, and removes the object (R8).
func (w *removalsWorld) remove(i int, without rule) {
	s := &w.sweeps[i]
	if without != r8 && (s.of != w.number || w.note != marked) {
		*s = sweeper{}
		return
	}
	w.object, s.at = false, copied
}
