package ingest_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"trackstore/shared/track"
)

// One row that the platform's table refuses, in any way, holds up nobody else's; it fails.
func TestARefusedRowHoldsUpNobody(t *testing.T) {
	t.Parallel()
	trigger := func(body string) string {
		return `CREATE FUNCTION platform() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.title = 'bad' THEN ` + body + ` END IF; RETURN NEW; END $$;
			CREATE TRIGGER a_platform BEFORE UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION platform()`
	}
	for name, c := range map[string]struct {
		platform string
		attempts int // after which it is failed
	}{
		"a CHECK":               {`ALTER TABLE tracks ADD CONSTRAINT no_bad CHECK (title <> 'bad' OR storage_backend = 'local')`, 1},
		"a trigger that raises": {trigger(`RAISE EXCEPTION 'no';`), 1},
		"a code of its own":     {trigger(`RAISE EXCEPTION 'no' USING ERRCODE = '42501';`), 5},
		"a broken trigger":      {trigger(`PERFORM * FROM nowhere;`), 1},
		"a unique key":          {`CREATE UNIQUE INDEX ON tracks (format) WHERE storage_backend = 's3' AND title = 'bad'; INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key, format) VALUES (gen_random_uuid(), gen_random_uuid(), 'bad', '', 's3', 'k', 'wav')`, 1},
		"a foreign key":         {`CREATE TABLE formats (name varchar(16) PRIMARY KEY, bad varchar(16)); ALTER TABLE tracks ADD COLUMN bad varchar(16) GENERATED ALWAYS AS (CASE title WHEN 'bad' THEN format END) STORED; ALTER TABLE tracks ADD FOREIGN KEY (bad) REFERENCES formats (name)`, 1},
		"an index that cannot hold it": {`CREATE FUNCTION long(id uuid) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT string_agg(md5(id::text || i), '') FROM generate_series(1, 200) i $$;
			CREATE INDEX ON tracks ((CASE WHEN title = 'bad' AND storage_backend = 's3' THEN long(id) END))`, 1},
		"a trigger that swallows it": {trigger(`RETURN NULL;`), 5},
		"a trigger that rewrites it": {trigger(`IF NEW.storage_backend = 's3' THEN NEW.storage_key := 'elsewhere'; END IF;`), 5},
		"row level security": {`ALTER TABLE tracks ENABLE ROW LEVEL SECURITY; ALTER TABLE tracks FORCE ROW LEVEL SECURITY;
			CREATE POLICY s ON tracks FOR SELECT USING (true); CREATE POLICY u ON tracks FOR UPDATE USING (title <> 'bad')`, 5},
		"row level security, checked": {`ALTER TABLE tracks ENABLE ROW LEVEL SECURITY; ALTER TABLE tracks FORCE ROW LEVEL SECURITY;
			CREATE POLICY s ON tracks FOR SELECT USING (true); CREATE POLICY u ON tracks FOR UPDATE USING (true) WITH CHECK (title <> 'bad')`, 5},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			var good []track.Upload
			var events [][]byte
			bad := r.ticket(track.ID{}, track.S3, wav(1), func(t *track.Ticket) { t.Title = "bad" })
			r.send(bad, wav(1))
			for i := range 5 {
				u := r.ticket(track.ID{}, track.S3, wav(int64(i)))
				r.send(u, wav(int64(i)))
				good = append(good, u)
				events = append(events, s3Event(r.Bucket.Name, u.Key))
				if i == 2 {
					events = append(events, s3Event(r.Bucket.Name, bad.Key))
				}
			}
			r.Exec(c.platform)
			r.asPlatformsRole()
			for attempt := 1; attempt <= c.attempts; attempt++ {
				failed := r.handle(sqsEvent(events...))
				if want := attempt < c.attempts; want && fmt.Sprint(failed) != "[m3]" || !want && failed != nil {
					t.Fatalf("attempt %d: to be tried again: %v", attempt, failed)
				}
			}
			for _, u := range good {
				if got := r.state(u); got != "stored" {
					t.Errorf("another one is %s", got)
				}
			}
			if got, why := r.state(bad), r.discards()[bad.Key]; got != "failed platform_refused" || why != "s3 rejected" {
				t.Errorf("%s, %s", got, why)
			}
			if got := r.track(bad.TrackID); got.Backend != "local" || got.Key != "" || got.Version != 1 {
				t.Errorf("the refused row is %+v", got)
			}
		})
	}
}

// asPlatformsRole has the store work as a role that row level security holds for.
func (r *rig) asPlatformsRole() {
	r.Ingester = r.over(r.OpenAs("trackstore_fn"), r.S3)
}

// While the platform holds a row, all others are settled, it waits for nobody, and nobody for it.
func TestALockedRowHoldsUpNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	locked := r.ticket(track.ID{}, track.S3, wav(1))
	var events [][]byte
	var others []track.Upload
	for i := range 4 {
		u := locked
		if i > 0 {
			u = r.ticket(track.ID{}, track.S3, wav(1))
			others = append(others, u)
		}
		r.send(u, wav(1))
		events = append(events, s3Event(r.Bucket.Name, u.Key))
	}
	tx, err := r.DB.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT FROM tracks WHERE id = $1 FOR UPDATE", locked.TrackID); err != nil {
		t.Fatal(err)
	}
	slowest := make(chan time.Duration)
	stop := make(chan struct{})
	go func() { // the platform's own updates of other tracks
		var most time.Duration
		for i := 0; ; i++ {
			select {
			case <-stop:
				slowest <- most
				return
			default:
			}
			began := time.Now()
			if _, err := r.DB.Exec(t.Context(), "UPDATE tracks SET title = 'y' WHERE id = $1", others[i%len(others)].TrackID); err != nil {
				t.Error(err)
			}
			most = max(most, time.Since(began))
		}
	}()
	failed := r.handle(sqsEvent(events...))
	close(stop)
	t.Logf("the slowest update took %v", <-slowest)
	if fmt.Sprint(failed) != "[m0]" || r.state(locked) != "pending" {
		t.Errorf("to be tried again: %v; it is %s", failed, r.state(locked))
	}
	for _, u := range others {
		if got := r.state(u); got != "stored" {
			t.Errorf("another one is %s", got)
		}
	}
	if _, err := r.Confirm(t.Context(), locked.ID); !errors.Is(err, track.ErrLocked) || !track.IsRetryable(err) {
		t.Errorf("%v", err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if failed := r.handle(sqsEvent(events...)); failed != nil || r.state(locked) != "stored" {
		t.Errorf("%v, %s", failed, r.state(locked))
	}
}
