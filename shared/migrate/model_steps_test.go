package migrate_test

// claimable is what a claim asks of the rows.
func (w world) claimable() bool {
	live := w.move.state == leased && !w.move.expired
	failedNow := w.move.state == failed && w.move.version == w.row.version && w.move.toLocal == w.toLocal
	if w.row.deleted || live || failedNow || w.row.s3 != w.toLocal {
		return false
	}
	return !w.toLocal || w.row.key < uploaded && w.rollbacks > 0
}

func (w *world) claim(i int) {
	me := worker{at: claimed, toLocal: w.toLocal, version: w.row.version, path: w.row.path}
	m := &w.move
	if w.toLocal {
		w.rollbacks--
		me.key, me.purged = w.row.key, true // where nothing is known of the local copy
		if m.content != 0 && m.key == w.row.key {
			me.purged, me.content = m.purged, m.content
		}
	}
	if m.content != 0 && m.of == 0 {
		m.of = m.version
	}
	m.state, m.toLocal, m.version, m.holder, m.expired = leased, w.toLocal, w.row.version, uint8(i+1), false
	w.workers[i] = me
}

// undo makes a lease the record again that was there before, or nothing (R10).
func (m *moveRow) undo() {
	if m.content == 0 {
		*m = moveRow{}
		return
	}
	*m = moveRow{state: migrated, toLocal: !m.toLocal, version: m.of, record: m.record}
	m.of = 0
}

func (w world) holds(i int) bool { return w.move.state == leased && w.move.holder == uint8(i+1) }

// fail records a failure, if the lease is still held.
func (w *world) fail(i int) {
	if w.holds(i) {
		w.move.state = failed
	}
	w.workers[i] = worker{}
}

func (w *world) read(i int) {
	me := &w.workers[i]
	if me.content = w.disk[me.path]; me.content == 0 {
		w.fail(i)
		return
	}
	me.at = read
}

// put is the conditional PUT. The key is that of the version and of its content.
func (w *world) put(i int, without rule) {
	me := &w.workers[i]
	me.key = me.version
	if without == r1 {
		me.key = 1 // one for the track, and overwritten
	}
	if without != r1 && w.objects[me.key] != 0 && w.objects[me.key] != me.content {
		w.fail(i) // mismatch
		return
	}
	w.objects[me.key] = me.content
	me.at = copied
}

// flipToS3 is the statement settle_to_s3.
func (w *world) flipToS3(i int, without rule) {
	me := w.workers[i]
	held := w.holds(i)
	same := !w.row.s3 && !w.row.deleted && w.row.version == me.version && w.row.path == me.path
	if without == r2 {
		same = !w.row.deleted
	}
	_, begun, gone := w.keys.has(me.key)
	switch {
	case held && same && gone:
		w.keys.forget(me.key)
		w.workers[i].at, w.workers[i].key = claimed, 0 // it makes the bytes anew
		w.workers[i].content = 0
		return
	case held && same && begun:
		w.workers[i].at = waiting
		return
	}
	w.workers[i] = worker{}
	if held && same {
		purged := w.move.purged && w.move.content != 0 && w.move.key == me.key
		w.row.s3, w.row.key = true, me.key
		w.move = moveRow{state: migrated, version: me.version, record: record{key: me.key, content: me.content, purged: purged}}
		w.keys.forget(me.key)
		return
	}
	if held {
		w.move.undo()
		w.keys.noted |= 1 << me.key
	}
	if without == r3 {
		w.objects[me.key] = 0
	}
}

// restore puts the bytes on disk: it keeps the local copy, or fetches to a path of its own.
func (w *world) restore(i int) {
	me := &w.workers[i]
	if !me.purged && me.path != 0 && me.content != 0 && w.disk[me.path] == me.content {
		me.target, me.at = me.path, copied
		return
	}
	if me.content = w.objects[me.key]; me.content == 0 {
		w.fail(i)
		return
	}
	me.target, me.at = restored+w.rollbacks, copied // each has another
	w.disk[me.target] = me.content
}

// flipToLocal is the statement settle_to_local.
func (w *world) flipToLocal(i int, without rule) {
	me := w.workers[i]
	if !w.holds(i) {
		w.workers[i] = worker{}
		return
	}
	same := w.row.s3 && !w.row.deleted && w.row.key == me.key && w.row.version == me.version
	kept := w.move.content != 0 && w.move.key == me.key && !w.move.purged
	_, begun, gone := w.paths.has(me.target)
	switch same = same && (me.target != w.row.path || kept || without == r6); {
	case same && gone && without != r6:
		w.paths.forget(me.target)
		w.workers[i].at, w.workers[i].target = claimed, 0
		return
	case same && begun && without != r6 && me.target == me.path && !me.purged:
		w.workers[i].at, w.workers[i].target, w.workers[i].purged = claimed, 0, true // another path
		return
	case same && begun && without != r6:
		w.workers[i].at = waiting
		return
	}
	w.workers[i] = worker{}
	if same {
		w.row.s3, w.row.key, w.row.path = false, 0, me.target
		w.move = moveRow{state: migrated, toLocal: true, version: me.version, record: record{key: me.key, content: me.content}}
		if without != r6 {
			w.paths.forget(me.target)
		} else {
			w.paths.noted &^= 1 << me.target
		}
		return
	}
	w.move.undo()
	if me.target != me.path {
		w.paths.noted |= 1 << me.target
	}
}

// purgeable is what a purge compares, and what the statement of the mark asks.
func (w world) purgeable(without rule) bool {
	m := w.move
	free := m.state == migrated && !m.toLocal && !m.purged && m.version == w.row.version
	if without == r6 {
		free = m.state == migrated && !m.toLocal || m.state == leased && m.toLocal // it looks at nothing but the row
	}
	return free && w.row.s3 && !w.row.deleted && m.key == w.row.key && w.row.path != 0 &&
		w.objects[m.key] == m.content && w.disk[w.row.path] == m.content
}

func (w *world) mark(without rule) {
	w.purges--
	w.purge.at, w.purge.path = claimed, w.row.path
	if without != r6 {
		w.move.purged = true
		w.paths.noted |= 1 << w.row.path
		w.paths.begun |= 1 << w.row.path
	}
}

// unlink removes a marked copy, and notes that it is gone.
func (w *world) unlink(without rule) {
	w.disk[w.purge.path] = 0
	w.purge.at = idle
	if without != r6 && w.paths.begun>>w.purge.path&1 == 1 {
		w.paths.gone |= 1 << w.purge.path
	}
}

// writeFile is the first half of a replacement on disk. R4: at a path of its own.
func (w *world) writeFile(without rule) {
	w.replacements--
	w.replace.at, w.replace.path = claimed, 2
	if without == r4 {
		w.replace.path = 1
	}
	w.disk[w.replace.path] = w.newest + 1
}

// replaceWithFile is the second half: one UPDATE. It fails for a deleted track.
func (w *world) replaceWithFile() {
	w.replace.at = idle
	if w.row.deleted {
		w.paths.noted |= 1 << w.replace.path
		return
	}
	w.discard(w.replace.path, 0)
	w.row.s3, w.row.path, w.row.key = false, w.replace.path, 0
	w.row.version++
	w.newest = w.disk[w.replace.path]
}

func (w *world) writeObject() {
	w.uploads--
	w.upload.at, w.upload.key, w.upload.step = claimed, uploaded, 0
	w.objects[w.upload.key] = w.newest + 1
}

// confirm is the UPDATE of object-created. R5: all of it at once.
func (w *world) confirm(without rule) {
	if w.row.deleted && w.upload.step == 0 {
		w.upload.at = idle
		w.keys.noted |= 1 << w.upload.key
		return
	}
	if without == r5 && w.upload.step < 2 {
		if w.upload.step++; w.upload.step == 1 {
			w.row.key = w.upload.key
		} else {
			w.row.s3 = true
		}
		return
	}
	w.upload.at = idle
	// Of two files of one track the later ticket wins; the other one is discarded.
	if w.objects[w.upload.key] <= w.newest {
		w.keys.noted |= 1 << w.upload.key
		return
	}
	if without != r5 {
		w.discard(0, w.upload.key)
		w.row.s3, w.row.key = true, w.upload.key
	}
	w.row.path = 0
	w.row.version++
	w.newest = w.objects[w.upload.key]
}

// discard notes what the row names, in the statement that takes the names off it, unless
// the new ones are the same.
func (w *world) discard(path, key uint8) {
	if w.row.path != 0 && w.row.path != path {
		w.paths.noted |= 1 << w.row.path
	}
	if w.row.s3 && w.row.key != key {
		w.keys.noted |= 1 << w.row.key
	}
}

// sweepable reports whether the sweep begins to remove a key or a path: it was discarded,
// or its track deleted, and no track names it.
func (w world) sweepable(key bool, id uint8) bool {
	m, named := w.paths, !w.row.s3 && w.row.path == id
	if key {
		m, named = w.keys, w.row.s3 && w.row.key == id
	}
	ofDeleted := w.row.deleted && named && w.undeletions == 0 // the grace is over
	return (m.noted>>id&1 == 1 || ofDeleted) && m.begun>>id&1 == 0 && !w.row.names(key, id)
}

// begun reports whether anything of a deleted row is being removed.
func (w world) begun(r row) bool {
	return r.s3 && w.keys.begun>>r.key&1 == 1 || !r.s3 && w.paths.begun>>r.path&1 == 1
}
