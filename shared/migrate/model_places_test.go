package migrate_test

import "slices"

// The model of places: a worker, a purge and a repair, and what they have no hand in: the
// volume is unmounted, or another one is meant from now on; somebody removes or overwrites the
// object, or removes the file; a program saves a whole row as it once read it; the database is
// restored. Any three of these befall the track, in any order and at any moment.

// Paths are 1 for the first file, 2 for a replacement, then those of rollbacks; 0 is none.
const (
	firstRestored = 3
	nDiskPaths    = firstRestored + 2
)

// placesRow is the row of tracks.
type placesRow struct {
	s3                  bool
	path, file, version uint8  // the file version, which is also the key, and the object's pinned version
	former              uint16 // the paths that it had before
}

// placesMove is the row of track_migrations.
type placesMove struct {
	state        moveState
	toLocal      bool
	file         uint8
	known        knownBytes
	purged, aged bool // of what is known: the flip is older than the grace
}

// knownBytes is what a record knows of stored bytes; content 0: nothing.
type knownBytes struct{ file, version, content uint8 }

// kept is what a backup keeps.
type kept struct {
	row    placesRow
	move   placesMove
	marks  uint16
	newest uint8
	meant  uint8
}

// versions are those of a key, the oldest first; the number of one is its index and 1.
type versions struct {
	content [4]uint8 // 0: removed, or never there
	n       uint8    // how many were written
}

// What is in a version that no worker wrote.
const (
	deleteMarker = 100
	foreign      = 101
)

// current returns the number of the version that readers of the key alone get; 0: none.
func (v versions) current() uint8 {
	for i := v.n; i > 0; i-- {
		switch v.content[i-1] {
		case 0:
		case deleteMarker:
			return 0
		default:
			return i
		}
	}
	return 0
}

// of returns the content of a version; 0 is the number of none.
func (v versions) of(version uint8) uint8 {
	if version == 0 || v.content[version-1] == deleteMarker {
		return 0
	}
	return v.content[version-1]
}

func (v versions) isFull() bool { return int(v.n) == len(v.content) }

func (v *versions) write(content uint8) uint8 {
	v.content[v.n] = content
	v.n++
	return v.n
}

type placesWorker struct {
	at                          place
	toLocal, purged             bool
	fails, lost                 bool // it is about to record a failure; nobody knows of its lease any more
	file, path, version, target uint8
	content, on                 uint8 // on: the volume that target is on
	known                       knownBytes
}

type placesWorld struct {
	row    placesRow
	move   placesMove
	marks  uint16 // of paths that a purge is about to remove
	newest uint8

	mounted, meant uint8 // the volume at the root folder, and the one that is meant
	volumes        [2][nDiskPaths]uint8
	keys           [3]versions // by file version
	hurt           bool        // the file was removed by somebody

	worker placesWorker
	purge  struct {
		at   place
		path uint8
	}
	program struct { // that saves whole rows
		at  place
		row placesRow
	}
	backup struct {
		there, leased bool // leased: to the worker that works now
		kept
	}
	// What may still happen.
	troubles, graces, rollbacks uint8
}

// newPlaces has the volume 1 mounted, as is meant. Where nothing is mounted there is the empty
// folder below, which is volume 0.
func newPlaces() placesWorld {
	w := placesWorld{
		row: placesRow{path: 1, file: 1}, newest: 1, mounted: 1, meant: 1,
		troubles: 3, graces: 1, rollbacks: 2,
	}
	w.volumes[1][1] = 1
	return w
}

// isProven reports whether the root folder is the one that is meant.
func (w placesWorld) isProven() bool { return w.mounted == w.meant }

// named returns the content that a row names.
func (w placesWorld) named(r placesRow) uint8 {
	if r.s3 {
		return w.keys[r.file].of(r.version)
	}
	return w.volumes[w.meant][r.path]
}

// violation says what is wrong. A row names the newest bytes; where somebody has removed them,
// the record names them still. And no track is missing whose file is where it should be.
func (w placesWorld) violation() string {
	switch content := w.named(w.row); {
	case w.move.state == failed && !w.move.toLocal && w.move.file == w.row.file && !w.row.s3 && content != 0:
		return "called missing"
	case w.hurt && content == 0 && w.findable() != w.newest:
		return "the only name is lost"
	case w.hurt && content == 0:
		return ""
	case content == 0:
		return "lost"
	case content < w.newest || content == foreign:
		return "stale"
	}
	return ""
}

// findable returns the content that a run could find by the record.
func (w placesWorld) findable() uint8 {
	known, key := w.move.known, w.keys[w.move.known.file]
	if known.content == 0 || known.file != w.row.file || key.of(known.version) != known.content && key.of(key.current()) != known.content {
		return 0
	}
	return known.content
}

// next returns all steps that are possible in w.
func (w placesWorld) next(without rule) []step[placesWorld] {
	possible := stepsFrom(w)
	may := possible.may
	me, troubled := w.worker, w.troubles > 0
	isThere := w.isProven() || without == r7

	may(me.at == idle && isThere && w.claimable(), 0, "worker claims", func(w *placesWorld) { w.claim(without) })
	may(me.at == claimed && !me.toLocal && !me.fails, 0, "worker reads", func(w *placesWorld) { w.read(without) })
	may(me.at == claimed && me.toLocal && !me.fails, 0, "worker restores", func(w *placesWorld) { w.restore(without) })
	may(me.at == read && !w.keys[me.file].isFull(), 0, "worker puts", func(w *placesWorld) { w.put() })
	may(me.at == copied && !me.toLocal, 0, "worker flips", func(w *placesWorld) { w.flipToS3() })
	may(me.at == copied && me.toLocal, 0, "worker flips", func(w *placesWorld) { w.flipToLocal(without) })
	may(me.at != idle && me.fails, 0, "worker fails the track", func(w *placesWorld) { w.fail(without) })
	may(me.at != idle, 0, "worker dies", func(w *placesWorld) { w.giveBack() })

	may(w.purge.at == idle && isThere && w.compares(without), 0, "purge compares", func(w *placesWorld) { w.purge.at, w.purge.path = claimed, w.row.path })
	may(w.purge.at == claimed, 0, "purge marks", func(w *placesWorld) { w.mark(without) })
	may(w.purge.at == copied, 0, "purge unlinks", func(w *placesWorld) { w.unlink(without) })
	may(w.row.s3 && isThere, 0, "repair", func(w *placesWorld) { w.repair() })

	may(troubled && w.isProven(), 0, "the volume is unmounted", func(w *placesWorld) { w.troubles--; w.mounted = 1 - w.meant })
	may(!w.isProven(), 0, "the volume is mounted", func(w *placesWorld) { w.mounted = w.meant })
	may(troubled && w.row.s3, 0, "another root is meant", func(w *placesWorld) { w.troubles--; w.meant = 1 - w.meant; w.mounted = w.meant })
	may(troubled && w.findable() == w.newest && w.named(w.row) != 0 && !w.row.s3, 0, "somebody removes the file", func(w *placesWorld) {
		w.troubles--
		w.hurt, w.backup.there = true, false // one that was made before knows less
		w.volumes[w.meant][w.row.path] = 0
	})
	key := w.keys[w.row.file]
	may(troubled && key.current() != 0 && !key.isFull(), 0, "somebody removes the object", func(w *placesWorld) { w.troubles--; w.keys[w.row.file].write(deleteMarker) })
	may(troubled && key.current() != 0 && !key.isFull(), 0, "somebody overwrites the object", func(w *placesWorld) { w.troubles--; w.keys[w.row.file].write(foreign) })
	may(w.row.s3 && w.graces == 0 && w.move.aged && key.of(w.row.version) != 0, 0, "sweep removes versions", func(w *placesWorld) { w.removeVersions(w.row.version) })
	may(without == r8 && key.n > 1, 0, "rule removes versions", func(w *placesWorld) { w.removeVersions(w.keys[w.row.file].current()) })

	may(troubled && w.program.at == idle, 0, "program reads the row", func(w *placesWorld) { w.troubles--; w.program.at, w.program.row = read, w.row })
	may(w.program.at == read, 0, "program saves the row", func(w *placesWorld) { w.save(without) })
	may(troubled && w.isProven() && w.row.file < 2, 0, "user replaces", func(w *placesWorld) { w.replace() })

	may(troubled && !w.backup.there && !w.hurt, 0, "backup", func(w *placesWorld) {
		w.troubles--
		w.backup.there, w.backup.leased = true, w.worker.at != idle && !w.worker.lost
		w.backup.kept = kept{w.row, w.move, w.marks, w.newest, w.meant}
	})
	may(w.backup.there, 0, "database is restored", func(w *placesWorld) {
		w.row, w.move, w.marks, w.newest, w.meant = w.backup.row, w.backup.move, w.backup.marks, w.backup.newest, w.backup.meant
		w.program.at, w.program.row = idle, placesRow{} // it begins anew, with the database
		w.worker.lost = !w.backup.leased
		w.backup.there = false
	})
	may(w.graces > 0, 0, "a grace passes", func(w *placesWorld) { w.graces--; w.backup.there = false; w.move.aged = true })
	return possible.all
}

// canonical forgets what makes no difference.
func (w placesWorld) canonical() placesWorld {
	if !w.backup.there {
		w.backup.leased, w.backup.kept = false, kept{}
	}
	if w.purge.at == idle {
		w.purge.path = 0
	}
	if me := &w.worker; me.at == copied {
		me.known, me.purged = knownBytes{}, false
	}
	if me := &w.worker; !me.toLocal {
		me.target, me.on, me.purged = 0, 0, false
	} else if me.at == copied {
		me.path = 0
	}
	if w.worker.at == idle {
		w.worker = placesWorker{}
		w.backup.leased = false
	}
	if w.named(w.row) != 0 {
		w.hurt = false
	}
	return w
}

// claimable is what a claim asks of the rows. Who has died has given its lease back here.
func (w placesWorld) claimable() bool {
	failedNow := w.move.state == failed && w.move.file == w.row.file && w.move.toLocal == w.row.s3
	return w.move.state != leased && !failedNow && (!w.row.s3 || w.rollbacks > 0)
}

func (w *placesWorld) claim(without rule) {
	m := &w.move
	w.worker = placesWorker{
		at: claimed, toLocal: w.row.s3, file: w.row.file, path: w.row.path, version: w.row.version,
		purged: m.purged || m.known.content == 0 || m.known.file != w.row.file,
	}
	if w.row.s3 {
		w.rollbacks--
		w.worker.target = firstRestored + w.rollbacks // each has another
	}
	if without == r10 {
		m.known, m.purged = knownBytes{}, false
	}
	if m.known.file == w.row.file {
		w.worker.known = m.known
	}
	m.state, m.toLocal, m.file = leased, w.row.s3, w.row.file
}

// giveBack ends the work on a track as if it had not begun (R10).
func (w *placesWorld) giveBack() {
	lost := w.worker.lost
	w.worker = placesWorker{}
	switch m := &w.move; {
	case lost:
	case m.known.content == 0:
		*m = placesMove{}
	default:
		m.state, m.toLocal, m.file = migrated, !m.toLocal, m.known.file
	}
}

// read opens the file that the row named. Where it is missing, the object is looked for that the
// record knows.
func (w *placesWorld) read(without rule) {
	me := &w.worker
	key := w.keys[me.file]
	if !w.isProven() && without != r7 {
		w.giveBack()
		return
	}
	switch me.content = w.volumes[w.mounted][me.path]; {
	case me.content != 0:
		me.at = read
	case me.known.content == 0:
		me.fails = true
	case key.of(me.known.version) == me.known.content:
		me.at, me.version, me.content = copied, me.known.version, me.known.content
	case key.of(key.current()) == me.known.content:
		me.at, me.version, me.content = copied, key.current(), me.known.content
	default:
		me.fails = true
	}
}

// put is the conditional PUT, and the look at what is there.
func (w *placesWorld) put() {
	me, key := &w.worker, &w.keys[w.worker.file]
	me.version = key.current()
	switch {
	case me.version == 0:
		me.at, me.version = copied, key.write(me.content)
	case key.of(me.version) == me.content:
		me.at = copied
	default: // mismatch
		w.giveBack()
	}
}

func (w *placesWorld) flipToS3() {
	me := w.worker
	if w.row.s3 || w.row.file != me.file || w.row.path != me.path || me.lost {
		w.giveBack()
		return
	}
	purged := w.move.purged && w.move.known.content != 0 && w.move.known.file == me.file
	w.row.s3, w.row.version = true, me.version
	w.move = placesMove{state: migrated, file: me.file, known: knownBytes{me.file, me.version, me.content}, purged: purged}
	w.worker = placesWorker{}
}

// fail records that the file is missing. R7: in a place that has proved itself once more.
func (w *placesWorld) fail(without rule) {
	if w.worker.lost || !w.isProven() && without != r7 {
		w.giveBack()
		return
	}
	w.move.state = failed
	w.worker = placesWorker{}
}

// restore keeps the local copy, or fetches the object to a path of its own.
func (w *placesWorld) restore(without rule) {
	me := &w.worker
	if !w.isProven() && without != r7 {
		w.giveBack()
		return
	}
	me.at, me.on = copied, w.mounted
	if me.content = me.known.content; !me.purged && w.volumes[w.mounted][me.path] == me.content && me.content != 0 {
		me.target = me.path
		return
	}
	if me.content = w.keys[me.file].of(me.version); me.content == 0 {
		w.giveBack() // a failure that is not called missing
		return
	}
	w.volumes[w.mounted][me.target] = me.content
}

func (w *placesWorld) flipToLocal(without rule) {
	me := w.worker
	kept := w.move.known.content != 0 && w.move.known.file == me.file && !w.move.purged
	elsewhere := me.on != w.meant && without != r7
	if me.lost || !w.row.s3 || w.row.file != me.file || w.row.version != me.version || me.target == w.row.path && !kept || w.marks>>me.target&1 == 1 || elsewhere {
		w.giveBack()
		return
	}
	w.row.s3, w.row.version = false, 0
	w.rename(me.target)
	w.move = placesMove{state: migrated, toLocal: true, file: me.file, known: knownBytes{me.file, me.version, me.content}}
	w.worker = placesWorker{}
}

// rename gives the row another path; it remembers the one that it had.
func (w *placesWorld) rename(path uint8) {
	if path != w.row.path {
		w.row.former |= 1 << w.row.path
		w.row.path = path
	}
}

// purgeable is what the statement of the mark asks.
func (w placesWorld) purgeable(without rule) bool {
	m := w.move
	return m.state == migrated && !m.toLocal && !m.purged && m.file == w.row.file && m.known.file == w.row.file && w.row.s3 &&
		(m.aged || without == theGrace)
}

// compares is what a purge looks at before: the object, the file, the record.
func (w placesWorld) compares(without rule) bool {
	key := w.keys[w.row.file]
	return w.purgeable(without) && key.current() == w.row.version && key.of(w.row.version) == w.move.known.content &&
		w.volumes[w.mounted][w.row.path] == w.move.known.content
}

func (w *placesWorld) mark(without rule) {
	if w.purge.at = idle; w.purgeable(without) && w.row.path == w.purge.path {
		w.purge.at, w.move.purged = copied, true
		w.marks |= 1 << w.purge.path
	}
}

// unlink looks whether somebody needs the file, and whether the mark holds, and removes it from the
// volume that is there.
func (w *placesWorld) unlink(without rule) {
	w.purge.at = idle
	needed := w.row.path == w.purge.path && (!w.row.s3 || !w.move.purged)
	holds := w.marks>>w.purge.path&1 == 1 || without == r8
	if !needed && holds && (w.isProven() || without == r7) {
		w.volumes[w.mounted][w.purge.path] = 0
		w.marks &^= 1 << w.purge.path
	}
}

// repair takes delete markers off, or pins the same bytes anew.
func (w *placesWorld) repair() {
	key, known := &w.keys[w.row.file], w.move.known
	at := w.row.version
	if key.of(at) == 0 {
		if now := key.current(); now != 0 && known.file == w.row.file && key.of(now) == known.content {
			w.row.version = now
		}
		return
	}
	later := key.content[at:key.n]
	if key.current() == 0 && !slices.ContainsFunc(later, func(c uint8) bool { return c != 0 && c != deleteMarker }) {
		clear(later)
	}
}

// removeVersions removes all versions of the row's key but one.
func (w *placesWorld) removeVersions(but uint8) {
	key := &w.keys[w.row.file]
	for i := range key.n {
		if i+1 != but && key.content[i] != deleteMarker {
			key.content[i] = 0
		}
	}
}

// save is a program's UPDATE of a whole row, as it read it. R9: the trigger keeps the storage
// columns, and takes a path that the track has not had for a new file.
func (w *placesWorld) save(without rule) {
	stale := w.program.row
	w.program.at, w.program.row = idle, placesRow{}
	switch isNew := stale.path != w.row.path && w.row.former>>stale.path&1 == 0; {
	case without == r9:
		stale.former = w.row.former
		w.row = stale
	case isNew && w.row.file < 2:
		w.rename(stale.path)
		w.row.s3, w.row.version = false, 0
		w.row.file++
		w.newest = w.volumes[w.meant][stale.path]
	}
}

// replace is a new file by a program that knows file_path alone.
func (w *placesWorld) replace() {
	w.troubles--
	w.newest++
	w.volumes[w.meant][2] = w.newest
	w.rename(2)
	w.row.s3, w.row.version = false, 0
	w.row.file++
}
