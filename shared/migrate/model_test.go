package migrate_test

// The model of moves: two workers, a purge, a sweep, and users who replace, upload and delete.

// Paths and keys are numbers, 0 is none. Contents are numbers too, a greater one is newer.
const (
	maxVersion = 3
	restored   = maxVersion + 1 // the first path of a rollback; each has its own
	nPaths     = restored + 2
	uploaded   = maxVersion + 1 // the first key of an upload
	nKeys      = uploaded + 2
)

type row struct {
	s3, deleted        bool
	path, key, version uint8
}

// names reports whether the row, as a track that is there, names a key or a path.
func (r row) names(key bool, id uint8) bool {
	return !r.deleted && r.s3 == key && (key && r.key == id || !key && r.path == id)
}

type moveState uint8

const (
	noState moveState = iota
	leased
	migrated
	failed
)

// moveRow is the row of track_migrations.
type moveRow struct {
	state   moveState
	toLocal bool
	version uint8
	holder  uint8 // of the lease: 1 or 2
	expired bool
	record
}

// record is what is known of stored bytes.
type record struct {
	key     uint8
	content uint8 // stands for the checksum; 0: nothing is known
	of      uint8 // the file version
	purged  bool
}

type place uint8 // where a process is in its work

const (
	idle place = iota
	claimed
	read    // to S3: it has the bytes in memory
	copied  // the bytes are where the row is to point at
	waiting // for the removal of what had that name
)

type worker struct {
	at                         place
	toLocal, purged            bool
	version, path, key, target uint8
	content                    uint8
}

// marks of paths and keys that are to be removed: noted, then removal begun, then known to be gone.
type marks struct{ noted, begun, gone uint16 }

func (m marks) has(id uint8) (noted, begun, gone bool) {
	return m.noted>>id&1 == 1, m.begun>>id&1 == 1, m.gone>>id&1 == 1
}

// forget takes a note away.
func (m *marks) forget(id uint8) {
	m.noted, m.begun, m.gone = m.noted&^(1<<id), m.begun&^(1<<id), m.gone&^(1<<id)
}

type world struct {
	row     row
	move    moveRow
	toLocal bool // the direction
	keys    marks
	paths   marks

	disk    [nPaths]uint8 // contents
	objects [nKeys]uint8
	newest  uint8 // what the owner stored last

	workers [2]worker
	purge   struct {
		at   place
		path uint8
	}
	replace struct { // a new local file that is written and not yet in the row
		at   place
		path uint8
	}
	upload struct { // an object that is there, and its event is on the way
		at   place
		key  uint8
		step uint8 // R5 broken: how many of the columns are set
	}

	// What may still happen.
	crashes, expiries, replacements, uploads, deletions, undeletions, turns, rollbacks, purges uint8
}

func newWorld() world {
	w := world{
		row: row{path: 1, version: 1}, newest: 1,
		crashes: 1, expiries: 1, replacements: 1, uploads: 1, deletions: 1, undeletions: 1, turns: 1, rollbacks: 2, purges: 1,
	}
	w.disk[1] = 1
	return w
}

// violation says what is wrong with a world, or nothing: a track that is there names bytes
// that exist and are the newest that its owner stored.
func (w world) violation() string {
	r := w.row
	var content uint8
	switch {
	case r.deleted:
		return ""
	case r.s3:
		content = w.objects[r.key]
	default:
		content = w.disk[r.path]
	}
	switch {
	case content == 0:
		return "lost"
	case content < w.newest:
		return "stale"
	}
	return ""
}

// next returns all steps that are possible in w.
func (w world) next(without rule) []step[world] {
	possible := stepsFrom(w)
	may := possible.may
	for i := range w.workers {
		me, n := w.workers[i], uint8(i+1)
		may(me.at == idle && w.claimable(), n, "worker claims", func(w *world) { w.claim(i) })
		may(me.at == claimed && !me.toLocal, n, "worker reads", func(w *world) { w.read(i) })
		may(me.at == claimed && me.toLocal, n, "worker restores", func(w *world) { w.restore(i) })
		may(me.at == read, n, "worker puts", func(w *world) { w.put(i, without) })
		may(me.at == copied && !me.toLocal, n, "worker flips", func(w *world) { w.flipToS3(i, without) })
		may(me.at == copied && me.toLocal, n, "worker flips", func(w *world) { w.flipToLocal(i, without) })
		may(me.at == waiting, n, "worker comes again", func(w *world) { w.workers[i].at = copied })
		may(me.at == waiting, n, "worker gives up", func(w *world) { w.fail(i) })
		may(me.at != idle && w.crashes > 0, n, "worker dies", func(w *world) { w.crashes--; w.workers[i] = worker{} })
	}
	may(w.move.state == leased && !w.move.expired && w.expiries > 0, 0, "lease expires", func(w *world) { w.expiries--; w.move.expired = true })
	may(w.turns > 0, 0, "direction turns", func(w *world) { w.turns--; w.toLocal = !w.toLocal })

	may(w.purge.at == idle && w.purges > 0 && w.purgeable(without), 0, "purge marks", func(w *world) { w.mark(without) })
	may(w.purge.at == claimed, 0, "purge unlinks", func(w *world) { w.unlink(without) })
	may(w.purge.at == claimed && w.crashes > 0, 0, "purge dies", func(w *world) { w.crashes--; w.purge.at = idle })

	may(w.replace.at == idle && w.replacements > 0, 0, "user writes file", func(w *world) { w.writeFile(without) })
	may(w.replace.at == claimed, 0, "user replaces", func(w *world) { w.replaceWithFile() })
	may(w.upload.at == idle && w.uploads > 0, 0, "user uploads", func(w *world) { w.writeObject() })
	may(w.upload.at == claimed, 0, "event", func(w *world) { w.confirm(without) })
	may(w.deletions > 0 && !w.row.deleted, 0, "user deletes", func(w *world) { w.deletions--; w.row.deleted = true })
	may(w.undeletions > 0 && w.row.deleted && !w.begun(w.row), 0, "user undeletes", func(w *world) { w.undeletions--; w.row.deleted = false })

	for id := uint8(1); id < nKeys; id++ {
		may(w.sweepable(true, id), id, "sweep marks key", func(w *world) { w.keys.begun |= 1 << id })
		may(w.keys.begun>>id&1 == 1 && w.keys.gone>>id&1 == 0, id, "sweep removes key", func(w *world) { w.objects[id] = 0; w.keys.gone |= 1 << id })
	}
	for id := uint8(1); id < nPaths; id++ {
		may(w.sweepable(false, id), id, "sweep marks path", func(w *world) { w.paths.begun |= 1 << id })
		may(w.paths.begun>>id&1 == 1 && w.paths.gone>>id&1 == 0 && w.purge.at == idle,
			id, "sweep removes path", func(w *world) { w.disk[id] = 0; w.paths.gone |= 1 << id })
	}
	return possible.all
}

// canonical makes one of two worlds that differ in the numbers of the workers only.
func (w world) canonical() world {
	if w.workers[0].number() > w.workers[1].number() {
		w.workers[0], w.workers[1] = w.workers[1], w.workers[0]
		w.move.holder = 3 - w.move.holder
	}
	if w.move.state != leased {
		w.move.holder, w.move.expired = 0, false
	}
	return w
}

func (w worker) number() (n uint64) {
	for _, b := range []uint8{uint8(w.at), flag(w.toLocal), flag(w.purged), w.version, w.path, w.key, w.target, w.content} {
		n = n<<8 | uint64(b)
	}
	return n
}

func flag(b bool) uint8 {
	if b {
		return 1
	}
	return 0
}
