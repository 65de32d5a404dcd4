package migrate_test

// The model of uploads: two tickets for files of one track, the second opened later. Requests begin
// in time and land when they like; events are late or lost; sweeps look, expire, mark and
// remove; an upload is aborted, the track deleted and undeleted.

// What may be taken away of uploads.
const (
	lateIsStored rule = "an expired upload is stored"
	theLastLook  rule = "the last look"
	abortIsFinal rule = "an abort is final"
)

type ticketState uint8

const (
	unopened ticketState = iota
	pending
	expired
	aborted
	stored
)

type ticket struct {
	state                ticketState
	over, sending, event bool // its time; a request that began in time; an event under way
	bytes, inTime        bool // inTime: they came before the grace was over
	seen                 bool // somebody has seen the bytes, and is about to settle
	hadAborted, lost     bool
	note                 note
	sweep                place // claimed: it has looked once more; copied: it has marked
}

type uploads struct {
	tickets       [2]ticket
	row           uint8 // the ticket whose file the track has, from 1; 0: none
	deleted, aged bool

	// What may still happen.
	graces, aborts, deletions uint8
}

func newUploads() uploads { return uploads{graces: 3, aborts: 1, deletions: 1} }

// violation says what is wrong: what S3 took in time is stored, unless its owner gave it up or
// has a newer file, and a row names bytes that are there.
func (w uploads) violation() string {
	if w.row != 0 && !w.deleted && !w.tickets[w.row-1].bytes {
		return "lost"
	}
	for i, u := range w.tickets {
		switch is := uint8(i + 1); {
		case u.lost:
			return "bytes are lost"
		case u.state == stored && w.row < is, u.hadAborted && w.row == is:
			return "stale"
		}
	}
	return ""
}

// next returns all steps that are possible in w.
func (w uploads) next(without rule) []step[uploads] {
	possible := stepsFrom(w)
	for i, u := range w.tickets {
		n := uint8(i + 1)
		may := func(is bool, name string, do func(w *uploads, u *ticket)) {
			possible.may(is, n, name, func(w *uploads) { do(w, &w.tickets[i]) })
		}
		isOpen := u.state == pending || u.state == expired
		may(u.state == unopened && !w.deleted && (i == 0 || w.tickets[0].state != unopened), "opens", func(_ *uploads, u *ticket) { u.state = pending })
		may(u.state == pending && !u.over && !u.sending && !u.bytes, "begins to send", func(_ *uploads, u *ticket) { u.sending = true })
		may(u.sending, "lands", func(_ *uploads, u *ticket) {
			u.sending, u.bytes, u.event, u.inTime = false, true, true, u.note <= noted
		})
		may(u.state == pending && !u.over, "ticket ends", func(_ *uploads, u *ticket) { u.over = true })
		may(u.event, "event", func(_ *uploads, u *ticket) { u.event, u.seen = false, u.bytes })
		may(u.event, "event is lost", func(_ *uploads, u *ticket) { u.event = false })
		may(u.seen, "settle", func(w *uploads, _ *ticket) { w.settle(i, without) })
		may(isOpen && u.bytes && !u.seen, "sweep sees", func(_ *uploads, u *ticket) { u.seen = true })
		may(u.state == pending && u.over, "sweep expires", func(_ *uploads, u *ticket) { u.state, u.note = expired, u.note.again() })
		may(isOpen && w.aborts > 0, "user aborts", func(w *uploads, u *ticket) {
			w.aborts--
			u.state, u.hadAborted = aborted, true
			if u.note == noNote {
				u.note = noted
			}
		})

		isDue := u.note >= due && u.note < gone && u.sweep == idle
		wanted := u.state == expired && u.bytes && without != theLastLook && without != lateIsStored
		may(isDue && !wanted, "sweep looks once more", func(_ *uploads, u *ticket) { u.sweep = claimed })
		may(u.sweep == claimed, "sweep marks", func(w *uploads, _ *ticket) { w.mark(i) })
		may(u.sweep == copied, "sweep removes", func(w *uploads, _ *ticket) { w.remove(i) })
		may(u.sweep != idle, "sweep dies", func(_ *uploads, u *ticket) { u.sweep = idle })
		may(w.row == n && !w.isKept() && u.note == noNote, "sweep notes", func(_ *uploads, u *ticket) { u.note = due })
	}
	begun := w.row != 0 && w.tickets[w.row-1].note.isMarked()
	possible.may(w.deletions > 0 && !w.deleted, 0, "user deletes", func(w *uploads) { w.deletions--; w.deleted = true })
	possible.may(w.deleted && !begun, 0, "user undeletes", func(w *uploads) { w.deleted, w.aged = false, false })
	possible.may(w.graces > 0, 0, "a grace passes", func(w *uploads) {
		w.graces--
		w.aged = w.deleted
		for i := range w.tickets {
			w.tickets[i].note = w.tickets[i].note.after()
		}
	})
	return possible.all
}

// canonical forgets what makes no difference any more.
func (w uploads) canonical() uploads {
	for i := range w.tickets {
		if u := &w.tickets[i]; u.state == stored || u.state == aborted {
			u.event, u.over = false, true
		}
	}
	return w
}

func (w uploads) isKept() bool { return !w.deleted || !w.aged }

// settle is the statement settle_uploads, for one upload whose bytes were seen.
func (w *uploads) settle(i int, without rule) {
	u, is := &w.tickets[i], uint8(i+1)
	u.seen = false
	overtaken := w.row > is && without != r2
	switch {
	case u.state == aborted && without == abortIsFinal:
	case u.state != pending && u.state != expired:
		return
	case u.state == expired && (without == lateIsStored || w.deleted || overtaken || u.note.isMarked() && without != r6):
		return
	case w.deleted:
		u.state, u.note = aborted, u.note.again()
		return
	}
	u.state = stored
	if overtaken {
		u.note = u.note.again()
		return
	}
	if w.row != 0 {
		old := &w.tickets[w.row-1]
		old.note = old.note.again()
	}
	if w.row = is; !u.note.isMarked() {
		u.note = noNote
	}
}

// mark is the statement mark_discards.
func (w *uploads) mark(i int) {
	u := &w.tickets[i]
	u.sweep = idle
	switch {
	case u.note < due || u.note >= gone:
	case w.row == uint8(i+1) && w.isKept(), u.state == pending:
		u.note = noNote
	default:
		u.note, u.sweep = marked, copied
	}
}

// remove looks at the mark, and removes what is there.
func (w *uploads) remove(i int) {
	u := &w.tickets[i]
	if u.sweep = idle; u.note != marked {
		return
	}
	wanted := u.state == expired && u.inTime && w.row <= uint8(i+1) && !w.deleted
	u.lost = u.bytes && wanted
	u.bytes, u.note = false, gone
}
