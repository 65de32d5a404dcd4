package migrate_test

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/s3store"
	"trackstore/shared/track"
	"trackstore/statemachines"
)

// crowd is a rig with one odd track among others, to be moved in one direction.
type crowd struct {
	*rig
	mover migrate.Mover
	odd   track.ID
	all   map[track.ID][]byte
}

// newCrowd makes a crowd; oddPath is the odd one's file.
func newCrowd(t *testing.T, d track.Direction, oddPath string) *crowd {
	t.Helper()
	c := &crowd{rig: newRig(t), all: map[track.ID][]byte{}}
	if len(oddPath) > 512 { // as in a platform's own table, before trackstore came
		c.Exec(`DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks; ALTER TABLE tracks ALTER file_path TYPE text`)
	}
	for i, path := range []string{"1.wav", "2.wav", oddPath, "4.wav", "5.wav"} {
		id := c.add(path, content(i, 100))
		if c.all[id] = content(i, 100); path == oddPath {
			c.odd = id
		}
	}
	c.mover = c.upload()
	if d == track.ToLocal {
		c.run(c.mover, job())
		c.mover = c.restore()
		c.turn(d)
	}
	return c
}

// moveAll moves the crowd, all but the odd one, and returns how that one failed.
func (c *crowd) moveAll(store *pgstore.Store, j migrate.Job) (failure string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	s, err := runner(store, c.mover).Run(ctx, j)
	if err != nil || !s.Done || s.Migrated != len(c.all)-1 || s.Failed != 1 {
		c.Errorf("%+v, %v", s, err)
	}
	d := c.mover.Direction()
	for id, content := range c.all {
		backend := d.Backend()
		if id == c.odd {
			backend = map[track.Direction]string{track.ToS3: track.Local, track.ToLocal: track.S3}[d]
		}
		c.holds(id, backend, content)
	}
	c.settled()
	return c.one(`SELECT state || ': ' || error FROM track_migrations WHERE track_id = $1`, c.odd)
}

// A row that the platform's table does not take, or makes something else of, is failed with a
// text that says so, and holds up no other, in either direction.
func TestARowThatTheTableRefuses(t *testing.T) {
	t.Parallel()
	function := func(body string) string {
		return `CREATE FUNCTION platform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.id = 'ODD' AND NEW.storage_backend <> OLD.storage_backend THEN ` + body + ` END IF; RETURN NEW; END $$;`
	}
	const before = `CREATE TRIGGER platform BEFORE UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION platform()`
	long := "x.wav" // too long for an index, however it is compressed
	for i := range 15 {
		long = fmt.Sprintf("%x%x%x/", sha512.Sum512([]byte{byte(i)}), sha256.Sum256([]byte{byte(i)}), i) + long
	}
	for name, c := range map[string]struct {
		sql, says string
		path      string // of the odd one, which then is to be refused on its way to S3 alone
	}{
		"a CHECK of formats": {`ALTER TABLE tracks ADD CHECK (storage_backend = 'local' OR format IN ('mp3', 'wav'))`, "check constraint", "x.aiff"},
		"a short column":     {`ALTER TABLE tracks ALTER content_type TYPE varchar(9)`, "too long", "x.aiff"},
		"an enum":            {`CREATE TYPE f AS ENUM ('wav'); ALTER TABLE tracks ALTER format TYPE f USING NULL`, "invalid input value for enum", "x.aiff"},
		"a short index":      {`CREATE INDEX ON tracks (file_path) WHERE storage_backend = 's3'`, "index row", long},

		"a trigger that raises":        {function(`RAISE EXCEPTION 'not on a Sunday';`) + before, "not on a Sunday", ""},
		"a code of its own":            {function(`RAISE EXCEPTION 'not here' USING ERRCODE = 'TS123';`) + before, "not here", ""},
		"a trigger that is broken":     {function(`PERFORM * FROM nowhere;`) + before, "nowhere", ""},
		"a trigger that returns NULL":  {function(`RETURN NULL;`) + before, "stays as it was", ""},
		"a trigger that takes it back": {function(`NEW.storage_backend := OLD.storage_backend; NEW.storage_key := OLD.storage_key;`) + before, "something else", ""},
		"a deferred trigger": {function(`RAISE EXCEPTION 'too late';`) +
			`CREATE CONSTRAINT TRIGGER platform AFTER UPDATE ON tracks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION platform()`, "too late", ""},
		"a trigger that takes it back afterwards": {
			function(`UPDATE tracks SET storage_backend = OLD.storage_backend, storage_key = OLD.storage_key WHERE id = NEW.id;`) +
				`CREATE TRIGGER platform AFTER UPDATE ON tracks FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION platform()`,
			"something else", "",
		},
	} {
		for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
			if c.path != "" && d == track.ToLocal {
				continue
			}
			t.Run(fmt.Sprintf("%s, %s", name, d), func(t *testing.T) {
				t.Parallel()
				path := c.path
				if path == "" {
					path = "odd.wav"
				}
				r := newCrowd(t, d, path)
				r.Exec(strings.ReplaceAll(c.sql, "ODD", r.odd.String()))
				if got := r.moveAll(r.Store, job()); !strings.HasPrefix(got, "failed: ") || !strings.Contains(got, c.says) {
					t.Errorf("it says %q, not %q", got, c.says)
				}
			})
		}
	}
}

// Row level security refuses with an error, or by hiding the row from changes.
func TestARowThatAPolicyKeeps(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ sql, says string }{
		"a check": {`CREATE POLICY all_rows ON tracks USING (true) WITH CHECK (id <> 'ODD' OR storage_backend = 'OLD')`, "row-level security"},
		"SELECT alone": {`CREATE POLICY reads ON tracks FOR SELECT USING (true); CREATE POLICY writes ON tracks FOR UPDATE USING (id <> 'ODD')`,
			"a policy"},
	} {
		for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
			t.Run(fmt.Sprintf("%s, %s", name, d), func(t *testing.T) {
				t.Parallel()
				r := newCrowd(t, d, "odd.wav")
				store := r.OpenAs("platform_role")
				old := r.one(`SELECT storage_backend FROM tracks LIMIT 1`)
				r.Exec(`ALTER TABLE tracks ENABLE ROW LEVEL SECURITY;` + strings.NewReplacer("ODD", r.odd.String(), "OLD", old).Replace(c.sql))
				if got := r.moveAll(store, job()); !strings.HasPrefix(got, "failed: ") || !strings.Contains(got, c.says) {
					t.Errorf("it says %q, not %q", got, c.says)
				}
				if n := r.one(`SELECT attempts::text FROM track_migrations WHERE track_id = $1`, r.odd); n != "5" {
					t.Errorf("it was failed after %s attempts", n)
				}
			})
		}
	}
}

// A right that the role lacks is no track's fault: the run ends, and nothing has failed.
func TestARoleThatMayNotUpdate(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, track.ToS3, "odd.wav")
	store := r.OpenAs("reading_role")
	r.Exec(`REVOKE UPDATE ON tracks FROM reading_role`)
	if _, err := runner(store, r.mover).Run(t.Context(), job()); !errors.Is(err, track.ErrForbidden) {
		t.Errorf("%v", err)
	}
	if n := r.one(`SELECT count(*)::text FROM track_migrations`); n != "0" {
		t.Errorf("%s tracks are leased or have failed", n)
	}
}

// lock holds a track's row until the test lets go.
func (r *rig) lock(id track.ID) (release func()) {
	r.Helper()
	tx, err := r.DB.Begin(r.Context())
	if err != nil {
		r.Fatal(err)
	}
	if _, err := tx.Exec(r.Context(), `SELECT FROM tracks WHERE id = $1 FOR UPDATE`, id); err != nil {
		r.Fatal(err)
	}
	return sync.OnceFunc(func() { _ = tx.Rollback(context.WithoutCancel(r.Context())) })
}

// A row that another transaction holds is left, and comes again: it makes nobody wait, and is
// moved once it is free. All others are moved meanwhile.
func TestALockedRowComesAgain(t *testing.T) {
	t.Parallel()
	for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := newCrowd(t, d, "odd.wav")
			release := r.lock(r.odd)
			defer release()
			var platform sync.WaitGroup
			platform.Go(func() {
				for range 200 {
					r.updateOthers(r.odd)
				}
				for r.one(`SELECT count(*)::text FROM tracks WHERE storage_backend = $1`, d.Backend()) != "4" {
					time.Sleep(10 * time.Millisecond)
				}
				release()
			})
			j := job()
			j.Lease = time.Second // it is renewed meanwhile
			if s, _ := r.run(r.mover, j); s.Migrated != 5 || !s.Done {
				t.Errorf("%+v", s)
			}
			platform.Wait()
			r.settled()
		})
	}
}

// updateOthers does what a platform does to all rows but the one that is locked. It would wait for
// as long as that is, if anything of ours held one of them meanwhile.
func (r *rig) updateOthers(locked track.ID) time.Duration {
	r.Helper()
	started := time.Now()
	r.Exec(`UPDATE tracks SET title = 'x' || $2::bigint WHERE id <> $1`, locked, started.Nanosecond())
	took := time.Since(started)
	if took > 20*time.Second {
		r.Errorf("an update of others took %s", took)
	}
	return took
}

// What stays locked is failed in the end. The wait goes on from one process to the next, where
// each has little time.
func TestARowThatStaysLocked(t *testing.T) {
	t.Parallel()
	for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
		t.Run(string(d), func(t *testing.T) {
			t.Parallel()
			r := newCrowd(t, d, "odd.wav")
			defer r.lock(r.odd)()
			j := job()
			j.LockWait = 2 * time.Second
			j.StopAt = time.Now().Add(time.Second)
			if s, _ := r.run(r.mover, j); s.Migrated != 4 || s.Failed != 0 || s.Done {
				t.Errorf("%+v", s)
			}
			if n := r.one(`SELECT count(*)::text FROM track_migrations WHERE lease_expires_at > now()`); n != "0" {
				t.Errorf("%s leases are left", n)
			}
			j.StopAt = time.Time{}
			started := time.Now()
			if s, _ := r.run(r.mover, j); s.Failed != 1 || !s.Done {
				t.Errorf("%+v", s)
			}
			if took := time.Since(started); took > 1900*time.Millisecond {
				t.Errorf("it waited for another %s", took)
			}
			if got := r.one(`SELECT state || ': ' || error FROM track_migrations WHERE track_id = $1`, r.odd); !strings.Contains(got, "locked by another transaction") {
				t.Errorf("it says %q", got)
			}
		})
	}
}

// The state machine ends, whatever the platform's table does to some rows.
func TestTheStateMachineEndsBesideOddRows(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, track.ToS3, "odd.wav")
	refused, kept := r.add("refused.wav", content(7, 100)), r.add("kept.wav", content(8, 100))
	r.Exec(strings.NewReplacer("REFUSED", refused.String(), "KEPT", kept.String()).Replace(`
		ALTER TABLE tracks ADD CHECK (storage_backend = 'local' OR id <> 'REFUSED');
		CREATE FUNCTION platform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
			IF NEW.id = 'KEPT' AND NEW.storage_backend <> OLD.storage_backend THEN RETURN NULL; END IF; RETURN NEW; END $$;
		CREATE TRIGGER platform BEFORE UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION platform()`))
	defer r.lock(r.odd)()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	go func() { // the row has been locked for long
		for pause(ctx, 200*time.Millisecond) {
			_, _ = r.DB.Exec(ctx, `UPDATE track_migrations SET locked_since = locked_since - interval '1 hour' WHERE locked_since > now() - interval '1 hour'`)
		}
	}()
	got, err := statemachines.Local{
		Workers: 2,
		Batch: func(_ context.Context, request json.RawMessage) (json.RawMessage, error) {
			s, err := r.handle(string(request))
			if err != nil {
				return nil, err
			}
			return json.Marshal(s)
		},
	}.MigrateStorage(ctx, json.RawMessage(`{"max_seconds":60}`))
	if err != nil || !got.Done || got.Migrated != 4 || got.Failed != 3 || got.Remaining != 0 {
		t.Errorf("%+v, %v", got, err)
	}
	r.settled()
}

// A name whose bytes were removed is free again, once they are known to be gone; one whose
// removal is under way is waited for.
func TestANameWhoseBytesAreGone(t *testing.T) {
	t.Parallel()
	for _, d := range []track.Direction{track.ToS3, track.ToLocal} {
		for _, state := range []string{"gone", "going"} {
			t.Run(fmt.Sprintf("%s, %s", d, state), func(t *testing.T) {
				t.Parallel()
				r := newCrowd(t, d, "odd.wav")
				name := track.MigratedKey(r.odd, 1, crcOf(r.all[r.odd]), "odd.wav")
				if d == track.ToLocal {
					r.remove("odd.wav")
					name = track.RestoredPath(r.odd, 1, "odd.wav")
				}
				r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
					VALUES ($1, $2, $3, 'orphaned', now() - interval '9 days', now() - interval '1 day', CASE WHEN $4 THEN now() END)`,
					r.odd, d.Backend(), name, state == "gone")
				if state == "going" {
					go func() {
						time.Sleep(300 * time.Millisecond)
						_, _ = r.DB.Exec(t.Context(), `UPDATE track_discards SET gone_at = now()`)
					}()
				}
				if s, _ := r.run(r.mover, job()); s.Migrated != 5 || !s.Done {
					t.Errorf("%+v", s)
				}
				r.holds(r.odd, d.Backend(), r.all[r.odd])
			})
		}
	}
}

// R10: what is known of an object survives a claim that finds no file, and a retry; and where that
// object is there still, the track points at it again.
func TestWhatIsKnownOfAnObjectIsKept(t *testing.T) {
	t.Parallel()
	r := newCrowd(t, track.ToLocal, "odd.wav")
	r.remove("odd.wav")
	r.run(r.mover, job())
	const known = `SELECT storage_key || ' ' || coalesce(storage_version_id, '') || ' ' || size || ' ' || crc64nvme FROM track_migrations WHERE track_id = $1`
	before := r.one(known, r.odd)
	if !strings.HasPrefix(before, "tracks/") || strings.Contains(before, "  ") {
		t.Fatalf("known is %q", before)
	}
	r.remove(r.one(`SELECT file_path FROM tracks WHERE id = $1`, r.odd))

	key := strings.Fields(before)[0]
	r.turn(track.ToS3)
	broken := migrate.NewUpload(migrate.Upload{Files: r.Disk, Bucket: hiding{r.S3, key}, Large: r.S3, Sniff: noSniff})
	if s, _ := r.run(broken, job()); s.Missing != 1 || s.Migrated != 4 {
		t.Errorf("%+v", s)
	}
	if after := r.one(known, r.odd); after != before {
		t.Errorf("known was %q, and is %q", before, after)
	}
	if _, err := r.Store.Retry(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := r.one(known, r.odd); after != before {
		t.Errorf("known was %q, and is %q after a retry", before, after)
	}
	if s, _ := r.run(r.upload(), job()); s.Migrated != 1 || !s.Done {
		t.Errorf("%+v", s)
	}
	r.holds(r.odd, track.S3, r.all[r.odd])
	if format := r.one(`SELECT coalesce(format, '') FROM tracks WHERE id = $1`, r.odd); format != "wav" {
		t.Errorf("the format is %q", format)
	}
}

// hiding is a bucket in which one object is not there.
type hiding struct {
	*s3store.Store
	key string
}

func (h hiding) Head(ctx context.Context, key, versionID string) (track.Object, error) {
	if key == h.key {
		return track.Object{}, track.ErrNotFound
	}
	return h.Store.Head(ctx, key, versionID)
}
