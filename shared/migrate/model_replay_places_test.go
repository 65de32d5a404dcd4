package migrate_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/audio"
	"trackstore/shared/migrate"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

// Random walks through the model of places are done by the real movers, purge and repair, on a
// root folder that is moved away, a bucket that others write to, and a database that is restored.
func TestModelOfPlacesIsWhatTheStackDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	random := rand.New(rand.NewPCG(11, 0))
	done := map[string]int{}
	for walk := range 60 {
		p := newPlacesReplay(r)
		w, way := newPlaces(), []string(nil)
		for len(way) < 25 {
			var possible []step[placesWorld]
			for _, s := range w.next(noRule) {
				s, ok := whole(s)
				if ok && !isElsewhere(s, w) {
					possible = append(possible, s)
				}
			}
			if len(possible) == 0 {
				break
			}
			s := prefer(possible, random)
			way = append(way, s.name)
			p.do(s, w)
			w = s.then
			if p.compare(w); t.Failed() {
				t.Fatalf("walk %d: %q", walk, way)
			}
			done[s.name]++
		}
		p.end()
	}
	t.Log(done)
	for _, name := range []string{
		"worker flips", "purge compares", "repair", "the volume is unmounted", "another root is meant", "somebody removes the object",
		"program saves the row", "user replaces", "database is restored",
	} {
		if done[name] == 0 {
			t.Errorf("%q was never done: %v", name, done)
		}
	}
}

// prefer is for what is done when much has gone before, four times out of five; for a worker that dies
// nothing has.
func prefer(possible []step[placesWorld], random *rand.Rand) (s step[placesWorld]) {
	for range 4 {
		switch s = possible[random.IntN(len(possible))]; s.name {
		case "worker dies", "repair", "backup", "user replaces":
		case "purge compares", "another root is meant":
			return s
		default:
			for _, p := range possible {
				if p.name == "purge compares" {
					return p
				}
			}
			return s
		}
	}
	return s
}

// isElsewhere is of steps that end in another way here. versitygw takes a key with a delete marker for one
// that is there. And a process that has proved the root folder of before takes it for the one that is meant
// until the flip, which refuses it.
func isElsewhere(s step[placesWorld], w placesWorld) bool {
	key := w.keys[w.worker.file]
	hidden := key.n > 0 && key.current() == 0
	retired := w.meant == 0 && !w.isProven()
	switch s.name {
	case "worker reads":
		return hidden || retired
	case "worker restores", "worker fails the track":
		return retired
	}
	return false
}

// whole is a step with those that follow it in the real call which does it. Those that are parts
// of one, or not done here, are left out.
func whole(s step[placesWorld]) (step[placesWorld], bool) {
	follow := map[string]string{"worker reads": "worker puts", "purge compares": "purge marks", "purge marks": "purge unlinks"}
	switch s.name {
	case "worker puts", "purge marks", "purge unlinks", "sweep removes versions":
		return s, false
	}
	name := s.name
	for next, ok := follow[name]; ok; next, ok = follow[next] {
		found := false
		for _, f := range s.then.next(noRule) {
			if f.name == next {
				s.then, found = f.then, true
				break
			}
		}
		if !found { // it has come to its end; or the key takes no more versions here
			return s, s.then.worker.at != read
		}
	}
	return s, true
}

type placesReplay struct {
	*rig
	id      track.ID
	places  *places.Places
	lease   track.Lease
	result  track.Result
	paths   map[uint8]string // of rollbacks, as they turned out
	program saved
}

// saved is a row as a program read it.
type saved struct {
	backend, path        string
	key, version, bucket *string
	file                 int64
}

func (r *rig) volume(n uint8) string { return fmt.Sprintf("%s.%d", r.Root, n) }

// newPlacesReplay begins with one track, on volume 1, which is mounted and proven.
func newPlacesReplay(r *rig) *placesReplay {
	r.Exec(`TRUNCATE tracks, track_migrations, track_discards, track_former_paths, track_places`)
	p := &placesReplay{rig: r, id: track.NewID(), paths: map[uint8]string{}}
	must(r, os.Mkdir(r.volume(0), 0o755))
	p.writeFile(1, 1)
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, p.id, p.path(1))
	p.places = r.OpenPlaces(r.Root, r.Bucket, places.Meant{})
	must(r, errors.Join(p.places.Disk.Prove(r.Context()), p.places.Bucket.Prove(r.Context())))
	return p
}

// end leaves the root folder as empty as it was.
func (p *placesReplay) end() {
	p.places.Close()
	must(p, errors.Join(os.RemoveAll(p.Root), os.RemoveAll(p.volume(0)), os.RemoveAll(p.volume(1)), os.Mkdir(p.Root, 0o755)))
}

func (p *placesReplay) content(n uint8) []byte { return content(int(n), 1000) }

func (p *placesReplay) path(n uint8) string {
	if real, ok := p.paths[n]; ok || n >= firstRestored {
		return real
	}
	return fmt.Sprintf("%s/%d.wav", p.id, n)
}

func (p *placesReplay) writeFile(path, content uint8) { p.write(p.path(path), p.content(content)) }

// mount puts a volume in the place of the one that is there.
func (p *placesReplay) mount(was, is uint8) {
	must(p, errors.Join(os.Rename(p.Root, p.volume(was)), os.Rename(p.volume(is), p.Root)))
}

func (p *placesReplay) mover(toLocal bool) migrate.Mover {
	if toLocal {
		return migrate.NewRestore(migrate.Restore{Disk: p.places.Disk, Bucket: p.places.Bucket})
	}
	return migrate.NewUpload(migrate.Upload{Files: p.places.Disk, Bucket: p.places.Bucket, Large: p.places.Bucket, Sniff: audio.Detect, Rest: time.Millisecond})
}

func (p *placesReplay) do(s step[placesWorld], before placesWorld) {
	ctx, me, after := p.Context(), before.worker, s.then
	mover := p.mover(me.toLocal)
	switch s.name {
	case "worker claims":
		mover = p.mover(before.row.s3)
		must(p, errors.Join(mover.Prove(ctx), p.Store.SetDirection(ctx, mover.Direction())))
		claims, err := p.Store.Claim(ctx, track.ClaimSpec{Direction: mover.Direction(), Token: track.NewID(), For: time.Hour, Limit: 1, Selection: track.Selection{TrackIDs: []track.ID{p.id}}})
		if err != nil || len(claims.Leases) != 1 {
			p.Fatalf("claim: %v, %v", claims, err)
		}
		p.lease = claims.Leases[0]
	case "worker reads", "worker restores":
		p.move(mover, after)
	case "worker fails the track":
		if err := mover.Prove(ctx); err != nil {
			p.release()
			break
		}
		p.settle(mover, p.result)
	case "worker flips":
		p.settle(mover, p.result)
		if me.toLocal && !after.row.s3 {
			p.paths[after.row.path] = p.result.(track.NewFile).Path
		}
	case "worker dies":
		p.release()
	case "purge compares":
		_, err := migrate.Purger{Purges: p.Store, Files: p.places.Disk, Bucket: p.places.Bucket, Found: func(migrate.Finding) {}}.Purge(ctx, 2*time.Hour)
		must(p, err)
	case "repair":
		_, err := migrate.Repairer{
			Repairs: p.Store, Files: p.places.Disk, Bucket: p.places.Bucket,
			Found: func(migrate.Finding) {}, Mended: func(track.Copies, string) {},
		}.Repair(ctx)
		must(p, err)
	case "the volume is unmounted", "the volume is mounted":
		p.mount(before.mounted, after.mounted)
	case "another root is meant":
		if before.mounted != after.mounted {
			p.mount(before.mounted, after.mounted)
		}
		meant := p.OpenPlaces(p.Root, p.Bucket, places.Meant{NewRoot: true})
		must(p, meant.Disk.Prove(ctx))
	case "somebody removes the file":
		root := p.Root
		if before.mounted != before.meant {
			root = p.volume(before.meant)
		}
		must(p, os.Remove(filepath.Join(root, p.path(before.row.path))))
	case "somebody removes the object", "somebody overwrites the object":
		p.stray(s.name == "somebody removes the object", before.row.file, before)
	case "program reads the row":
		must(p, p.DB.QueryRow(ctx, `SELECT storage_backend, file_path, storage_key, storage_version_id, storage_bucket, file_version FROM tracks`).
			Scan(&p.program.backend, &p.program.path, &p.program.key, &p.program.version, &p.program.bucket, &p.program.file))
	case "program saves the row":
		was := p.program
		p.Exec(`UPDATE tracks SET storage_backend = $1, file_path = $2, storage_key = $3, storage_version_id = $4, storage_bucket = $5, file_version = $6`,
			was.backend, was.path, was.key, was.version, was.bucket, was.file)
	case "user replaces":
		p.writeFile(2, after.newest)
		p.Exec(`UPDATE tracks SET file_path = $1`, p.path(2))
	case "backup":
		for _, table := range keptTables {
			p.Exec(fmt.Sprintf(`DROP TABLE IF EXISTS kept_%[1]s; CREATE TABLE kept_%[1]s AS TABLE %[1]s`, table))
		}
	case "database is restored":
		for _, table := range keptTables {
			p.Exec(fmt.Sprintf(`SET session_replication_role = replica; DELETE FROM %[1]s; INSERT INTO %[1]s SELECT * FROM kept_%[1]s;
				SET session_replication_role = DEFAULT`, table))
		}
	case "a grace passes":
		p.Exec(`UPDATE track_migrations SET finished_at = finished_at - interval '1 day'`)
	}
}

var keptTables = []string{"tracks", "track_migrations", "track_former_paths", "track_places"}

func (p *placesReplay) release() {
	must(p, p.Store.Release(p.Context(), []track.Lease{p.lease}))
}

// move does what the model's worker has done, and ends as it did.
func (p *placesReplay) move(mover migrate.Mover, after placesWorld) {
	result, err := mover.Move(p.Context(), p.lease)
	p.result = result
	var ends string
	switch r := result.(type) {
	case track.NewObject, track.NewFile:
		ends = "copied"
	case track.Failure:
		ends = string(r.Kind)
	default:
		ends = fmt.Sprintf("an error of the place: %t", errors.Is(err, track.ErrPlace))
	}
	switch me := after.worker; {
	case me.at == copied && ends == "copied", me.fails && ends == string(track.Missing):
	case me.at == idle && ends != "copied":
		p.release()
	default:
		p.Errorf("it ends with %s (%v), the model's worker is %+v", ends, err, me)
	}
}

// settle gives an outcome; where the whole is refused, for the root is another one, the lease goes back.
func (p *placesReplay) settle(mover migrate.Mover, result track.Result) {
	_, err := p.Store.Settle(p.Context(), mover.Direction(), []track.Outcome{{Lease: p.lease, Result: result}})
	if errors.Is(err, track.ErrPlace) {
		p.release()
	} else {
		must(p, err)
	}
}

// stray writes to the key of a file version behind everybody's back.
func (p *placesReplay) stray(removes bool, file uint8, before placesWorld) {
	client, ctx := p.Bucket.Client(), p.Context()
	key := track.MigratedKey(p.id, int64(file), crcOf(p.content(before.keys[file].content[0])), "x.wav")
	var err error
	if removes {
		_, err = client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &p.Bucket.Name, Key: &key})
	} else {
		_, err = client.PutObject(ctx, &s3.PutObjectInput{Bucket: &p.Bucket.Name, Key: &key, Body: bytes.NewReader([]byte("foreign"))})
	}
	must(p, err)
}

// compare compares the rows, and what they name, with the model's.
func (p *placesReplay) compare(w placesWorld) {
	var got struct {
		backend, path, version, state, direction string
		file, moveFile                           int64
		purged, known                            bool
	}
	must(p, p.DB.QueryRow(p.Context(), `
		SELECT t.storage_backend, t.file_path, coalesce(t.storage_version_id, ''), t.file_version, coalesce(m.state, ''), coalesce(m.direction, ''),
			coalesce(m.file_version, 0), m.purged_at IS NOT NULL, m.crc64nvme IS NOT NULL
		FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id`).Scan(
		&got.backend, &got.path, &got.version, &got.file, &got.state, &got.direction, &got.moveFile, &got.purged, &got.known))
	want := got
	want.backend = map[bool]string{false: "local", true: "s3"}[w.row.s3]
	want.path, want.file = p.path(w.row.path), int64(w.row.file)
	want.state = map[moveState]string{noState: "", leased: "leased", migrated: "migrated", failed: "missing"}[w.move.state]
	want.direction = ""
	if w.move.state != noState {
		want.direction = string(p.mover(w.move.toLocal).Direction())
	}
	want.moveFile, want.purged, want.known = int64(w.move.file), w.move.purged, w.move.known.content != 0
	if got != want {
		p.Errorf("the rows are  %+v,\nthe model says %+v", got, want)
	}
	if w.mounted != w.meant && !w.row.s3 {
		return
	}
	is, err := p.bytesOf(p.id)
	if content := w.named(w.row); content == 0 && err == nil || content != 0 && content != foreign && !bytes.Equal(is, p.content(content)) {
		p.Errorf("the row names %d bytes (%v), the model's content %d", len(is), err, content)
	}
}
