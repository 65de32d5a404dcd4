package migrate_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// The model is only worth something if the statements do what its steps do. Random walks
// through it are done on the database, too, by the store's own calls, and after every step
// the rows are compared with the model's.
func TestModelIsWhatTheDatabaseDoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const seed = 7
	random := rand.New(rand.NewPCG(seed, 0))
	done := map[string]int{}
	for walk := range 150 {
		p := &replay{rig: r, id: track.NewID()}
		p.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, p.id, p.path(1))
		r.turn(track.ToS3)
		w := newWorld()
		var way []string
		for len(way) < 40 {
			steps := w.next(noRule)
			if len(steps) == 0 {
				break
			}
			s := pick(steps, random)
			way = append(way, fmt.Sprint(s.name, " ", s.n))
			p.idle(w)
			p.do(s, w)
			w = s.then
			if p.compare(w); t.Failed() {
				t.Fatalf("walk %d: %q", walk, way)
			}
			done[s.name]++
		}
		r.Exec(`DELETE FROM tracks WHERE id = $1`, p.id)
		r.Exec(`DELETE FROM track_migrations WHERE track_id = $1`, p.id)
	}
	for _, name := range []string{"worker claims", "worker flips", "purge marks", "lease expires", "user replaces", "event"} {
		if done[name] < 20 {
			t.Errorf("%q was done %d times only: %v", name, done[name], done)
		}
	}
}

// pick prefers what workers and purges do, four times out of five: users act once each, and
// a track that is deleted leaves nothing to do.
func pick(steps []step[world], random *rand.Rand) step[world] {
	for range 4 {
		if s := steps[random.IntN(len(steps))]; strings.HasPrefix(s.name, "worker") || strings.HasPrefix(s.name, "purge") {
			return s
		}
	}
	return steps[random.IntN(len(steps))]
}

type replay struct {
	*rig
	id     track.ID
	leases [2]track.Lease
}

func (p *replay) path(n uint8) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(track.RestoredPrefix+"%s/%d.wav", p.id, n)
}

func (p *replay) key(n uint8) string {
	switch {
	case n == 0:
		return ""
	case n >= uploaded:
		return fmt.Sprintf("uploads/%s/%d", p.id, n)
	}
	return fmt.Sprintf("tracks/%s/%d", p.id, n)
}

func (p *replay) spec(toLocal bool) track.ClaimSpec {
	d := track.ToS3
	if toLocal {
		d = track.ToLocal
	}
	return track.ClaimSpec{Direction: d, Token: track.NewID(), For: time.Hour, Limit: 1, Selection: track.Selection{TrackIDs: []track.ID{p.id}}}
}

// idle checks that nothing is claimed, and nothing marked, where the model says that it is
// not to be. (Rollbacks and purges may be used up in the model; the database knows no such
// thing. What a purge compares itself, the bytes, is not asked here.)
func (p *replay) idle(w world) {
	if !w.claimable() && (!w.toLocal || w.rollbacks != 0) {
		claims, err := p.Store.Claim(p.Context(), p.spec(w.toLocal))
		if err != nil || len(claims.Leases) > 0 {
			p.Errorf("a claim got %v, %v", claims.Leases, err)
		}
	}
	w.disk[w.row.path], w.objects[w.move.key] = w.move.content, w.move.content
	if !w.purgeable(noRule) {
		marked, err := p.mark(w)
		if err != nil || marked {
			p.Errorf("a local copy was marked (%t, %v)", marked, err)
		}
	}
}

func (p *replay) do(s step[world], before world) {
	ctx := p.Context()
	i := int(s.n) - 1
	switch s.name {
	case "worker claims":
		claims, err := p.Store.Claim(ctx, p.spec(before.toLocal))
		if err != nil || len(claims.Leases) != 1 {
			p.Fatalf("claim: %v, %v", claims, err)
		}
		l, me := claims.Leases[0], s.then.workers[i]
		if l.FileVersion != int64(me.version) || l.FilePath != p.path(me.path) ||
			me.toLocal && (l.Object.Key != p.key(me.key) || l.Purged != me.purged || (l.Object.Digest != nil) != (me.content != 0)) {
			p.Errorf("claimed %+v, the model says %+v", l, me)
		}
		p.leases[i] = l
	case "worker reads", "worker restores", "worker puts", "worker gives up":
		if s.then.workers[i].at == idle { // it failed
			p.settle(before.workers[i], track.Outcome{Lease: p.leases[i], Result: track.Failure{Kind: track.Missing, Err: errors.New("x")}})
		}
	case "worker flips":
		me := before.workers[i]
		digest := track.Digest{Size: int64(me.content), CRC64NVME: uint64(me.content)}
		var moved track.Result = track.NewObject{Key: p.key(me.key), Digest: digest}
		if me.toLocal {
			moved = track.NewFile{Path: p.path(me.target), Digest: digest}
		}
		p.settle(me, track.Outcome{Lease: p.leases[i], Result: moved})
	case "lease expires":
		p.Exec(`UPDATE track_migrations SET lease_expires_at = now() - interval '1s' WHERE track_id = $1`, p.id)
	case "direction turns":
		if err := p.Store.SetDirection(ctx, p.spec(s.then.toLocal).Direction); err != nil {
			p.Fatal(err)
		}
	case "purge marks":
		marked, err := p.mark(before)
		if err != nil || !marked {
			p.Fatalf("mark: %v, %v", marked, err)
		}
	case "user replaces", "event":
		p.replace(before, s.then)
	case "user deletes":
		p.Exec(`UPDATE tracks SET deleted_at = now() WHERE id = $1`, p.id)
	case "user undeletes":
		p.Exec(`UPDATE tracks SET deleted_at = NULL WHERE id = $1`, p.id)
	case "sweep removes key":
		p.gone("s3", p.key(s.n))
	case "sweep removes path":
		p.gone("local", p.path(s.n))
	case "purge unlinks":
		must(p, p.Store.Unlinked(ctx, []string{p.path(before.purge.path)}))
	case "sweep marks key":
		p.discard("s3", p.key(s.n), true)
	case "sweep marks path":
		p.discard("local", p.path(s.n), true)
	}
}

func (p *replay) mark(w world) (bool, error) {
	c := track.Copies{
		TrackID: p.id, FileVersion: int64(w.row.version), FilePath: p.path(w.row.path),
		Object: &track.StoredObject{Key: p.key(w.row.key)},
	}
	marked, err := p.Store.Mark(p.Context(), []track.DoomedFile{{Copies: c, Marks: []string{c.FilePath}}}, 0)
	return err == nil && marked[0], err
}

func (p *replay) settle(me worker, o track.Outcome) {
	d := p.spec(me.toLocal).Direction
	first, err := p.Store.Settle(p.Context(), d, []track.Outcome{o})
	if err != nil {
		p.Fatal(err)
	}
	// Tried again, as after a lost answer, it changes nothing and does not claim otherwise.
	again, err := p.Store.Settle(p.Context(), d, []track.Outcome{o})
	if err != nil {
		p.Fatal(err)
	}
	if first[0].Verdict == track.Vacant {
		backend, name := track.S3, o.StorageKey()
		if file, ok := o.Result.(track.NewFile); ok {
			backend, name = track.Local, file.Path
		}
		must(p, p.Store.ForgetRemoval(p.Context(), backend, []string{name}))
	}
	if first[0].Verdict == track.Settled && again[0].Verdict != track.Settled {
		p.Errorf("settled, and %s when it was tried again", again[0].Verdict)
	}
}

// replace does what a confirmed upload does to the rows, on either backend.
func (p *replay) replace(before, after world) {
	if before.row == after.row {
		// The track is deleted or the other ticket is newer: the new bytes are discarded.
		for id := uint8(1); id < nKeys; id++ {
			if after.keys.noted&^before.keys.noted>>id&1 == 1 {
				p.discard("s3", p.key(id), false)
			}
		}
		for id := uint8(1); id < nPaths; id++ {
			if after.paths.noted&^before.paths.noted>>id&1 == 1 {
				p.discard("local", p.path(id), false)
			}
		}
		return
	}
	if old := p.path(before.row.path); old != "" && before.row.path != after.row.path {
		p.discard("local", old, false)
	}
	if before.row.s3 && before.row.key != after.row.key {
		p.discard("s3", p.key(before.row.key), false)
	}
	backend, key := "local", any(nil)
	if after.row.s3 {
		backend, key = "s3", p.key(after.row.key)
	}
	p.Exec(`UPDATE tracks SET storage_backend = $2, storage_key = $3, file_path = $4, file_version = file_version + 1 WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'`,
		p.id, backend, key, p.path(after.row.path))
}

func (p *replay) discard(backend, name string, begun bool) {
	p.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, removed_at)
		VALUES ($1, $2, $3, 'replaced', CASE WHEN $4 THEN now() END)
		ON CONFLICT (backend, storage_key) DO UPDATE
		SET removed_at = coalesce(track_discards.removed_at, excluded.removed_at)`, p.id, backend, name, begun)
}

func (p *replay) gone(backend, name string) {
	p.Exec(`UPDATE track_discards SET gone_at = now() WHERE backend = $1 AND storage_key = $2 AND removed_at IS NOT NULL`, backend, name)
}

// compare compares the rows with the model's.
func (p *replay) compare(w world) {
	var got struct {
		backend, path, key, state, direction, moveKey string
		version, moveVersion                          int64
		deleted, expired, purged                      bool
	}
	err := p.DB.QueryRow(p.Context(), `
		SELECT t.storage_backend, t.file_path, coalesce(t.storage_key, ''), t.file_version, t.deleted_at IS NOT NULL,
			coalesce(m.state, ''), coalesce(m.direction, ''), coalesce(m.file_version, 0), coalesce(m.storage_key, ''),
			coalesce(m.lease_expires_at < now(), false), m.purged_at IS NOT NULL
		FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id WHERE t.id = $1`, p.id).Scan(
		&got.backend, &got.path, &got.key, &got.version, &got.deleted,
		&got.state, &got.direction, &got.moveVersion, &got.moveKey, &got.expired, &got.purged)
	if err != nil {
		p.Fatal(err)
	}
	want := got
	want.backend = map[bool]string{false: "local", true: "s3"}[w.row.s3]
	want.path, want.version, want.deleted = p.path(w.row.path), int64(w.row.version), w.row.deleted
	if want.key = ""; w.row.s3 {
		want.key = p.key(w.row.key)
	}
	want.state = map[moveState]string{noState: "", leased: "leased", migrated: "migrated", failed: "missing"}[w.move.state]
	if w.move.state != noState {
		want.direction = string(p.spec(w.move.toLocal).Direction)
		want.moveVersion, want.purged = int64(w.move.version), w.move.purged
		want.expired = w.move.state == leased && w.move.expired
	}
	want.moveKey = ""
	if w.move.content != 0 {
		want.moveKey = p.key(w.move.key)
	}
	if got != want {
		p.Errorf("the rows are  %+v,\nthe model says %+v", got, want)
	}
	p.compareMarks("s3", w.keys, nKeys, p.key)
	p.compareMarks("local", w.paths, nPaths, p.path)
}

func (p *replay) compareMarks(backend string, m marks, n uint8, name func(uint8) string) {
	rows, err := p.DB.Query(p.Context(), `SELECT storage_key, removed_at IS NOT NULL FROM track_discards
		WHERE track_id = $1 AND backend = $2`, p.id, backend)
	if err != nil {
		p.Fatal(err)
	}
	begun := map[string]bool{}
	var key string
	var removed bool
	if _, err := pgx.ForEachRow(rows, []any{&key, &removed}, func() error { begun[key] = removed; return nil }); err != nil {
		p.Fatal(err)
	}
	for id := uint8(1); id < n; id++ {
		removed, noted := begun[name(id)]
		if noted != ((m.noted|m.begun)>>id&1 == 1) || removed != (m.begun>>id&1 == 1) {
			p.Errorf("%s: noted %t, removal begun %t; the model says %t, %t", name(id), noted, removed,
				(m.noted|m.begun)>>id&1 == 1, m.begun>>id&1 == 1)
		}
	}
}
