package schema_test

import (
	"context"
	"os"
	"testing"
)

// What a program that is not trackstore's writes into a row, and what becomes of it.
func TestStorageColumnsAreKept(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	const (
		local = "local,none,none,1,"
		onS3  = "s3,k,v,1,"
		moved = "storage_backend = 's3', storage_key = 'k', storage_version_id = 'v'"
		stale = ", storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, file_version = 1, upload_seq = 0"
	)
	for name, c := range map[string]struct {
		own     string // what trackstore did before
		foreign string
		want    string // backend, key, version id, file version, path
		notes   string
	}{
		"another column":                     {"", "title = 'y'", local + "a.wav", ""},
		"a new path":                         {"", "file_path = 'b.wav'", "local,none,none,2,b.wav", ""},
		"a new path, raised by itself":       {"", "file_path = 'b.wav', file_version = 2", "local,none,none,2,b.wav", ""},
		"its path taken away":                {"", "file_path = NULL", "local,none,none,2,none", ""},
		"the same path":                      {"", "file_path = 'a.wav'", local + "a.wav", ""},
		"a version of its own":               {"", "file_version = 7, upload_seq = 7", local + "a.wav", ""},
		"a flip of its own":                  {"", moved, local + "a.wav", ""},
		"a save from before the flip":        {moved, "title = 'y', file_path = 'a.wav'" + stale, onS3 + "a.wav", ""},
		"the same, by what knows the key":    {moved, "storage_key = NULL, storage_backend = 's3'", onS3 + "a.wav", ""},
		"another key":                        {moved, "storage_key = 'other'", onS3 + "a.wav", ""},
		"its path taken away on S3":          {moved, "file_path = ''", onS3 + "a.wav", ""},
		"a new path on S3":                   {moved, "file_path = 'b.wav'", "local,none,none,2,b.wav", "local a.wav replaced,s3 k replaced"},
		"a new path on S3, backend and all":  {moved, "file_path = 'b.wav', storage_backend = 's3', storage_key = 'x'", "local,none,none,2,b.wav", "local a.wav replaced,s3 k replaced"},
		"a save from before a replacement":   {moved + ", file_path = '', file_version = 2", "file_path = 'a.wav'" + stale, "s3,k,v,2,", ""},
		"a save from before a local upload":  {"file_path = 'uploads/1.wav', file_version = 2", "file_path = 'a.wav'" + stale, "local,none,none,2,uploads/1.wav", ""},
		"a save from before a rollback":      {"file_path = 'restored/1.wav'", "file_path = 'a.wav'" + stale, local + "restored/1.wav", ""},
		"a new path after a replacement":     {moved + ", file_path = '', file_version = 2", "file_path = 'b.wav'", "local,none,none,3,b.wav", "s3 k replaced"},
		"its path taken away after a second": {"file_path = 'b.wav', file_version = 2", "file_path = ''", "local,none,none,3,", ""},
	} {
		d.exec("TRUNCATE tracks, track_discards, track_former_paths")
		d.exec(oneTrack)
		if c.own != "" {
			d.own("UPDATE tracks SET " + c.own)
		}
		d.exec("UPDATE tracks SET " + c.foreign)
		got := d.query(`SELECT concat_ws(',', storage_backend, coalesce(storage_key, 'none'), coalesce(storage_version_id, 'none'), file_version, coalesce(file_path, 'none')) FROM tracks`)
		if got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
		if notes := d.query("SELECT coalesce(string_agg(concat_ws(' ', backend, storage_key, reason), ',' ORDER BY backend), '') FROM track_discards"); notes != c.notes {
			t.Errorf("%s: noted %s, want %s", name, notes, c.notes)
		}
	}
}

// A path that a track once had stays one, however often it changes.
func TestFormerPathsAreRemembered(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'x', '')`)
	for _, path := range []string{"a", "b", "a", "", "c", "b"} {
		d.exec("UPDATE tracks SET file_path = $1", path)
	}
	if got := d.query("SELECT concat_ws(',', file_path, file_version) FROM tracks"); got != "c,4" {
		t.Errorf("the row says %s", got)
	}
	d.exec("DELETE FROM tracks")
	if got := d.query("SELECT count(*) FROM track_former_paths"); got != "0" {
		t.Errorf("%s paths of no track", got)
	}
}

// The trigger stands in no ALTER TABLE's way, nor does it fail in a session that ran it before.
func TestTypesOfColumnsMayChange(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec(`CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid NOT NULL, title varchar(100), file_path varchar(500), status varchar(20) DEFAULT 'ready')`)
	d.up()
	conn, err := d.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	exec(oneTrack)
	exec("UPDATE tracks SET file_path = 'b.wav'")
	for _, change := range []string{
		"file_path TYPE text", "title TYPE text", "status TYPE text", "storage_key TYPE text", "file_size TYPE numeric", "file_path TYPE varchar(600)",
	} {
		exec("ALTER TABLE tracks ALTER " + change)
		exec("UPDATE tracks SET title = 'y'")
		exec("UPDATE tracks SET file_path = 'c' || file_path, storage_backend = 's3', storage_key = 'k'")
		exec("UPDATE tracks SET file_path = 'b.wav'")
	}
	if got := d.query("SELECT concat_ws(',', file_path, file_version, storage_backend, title) FROM tracks"); got != "ccccccb.wav,8,local,y" {
		t.Errorf("the row says %s", got)
	}
	exec("ALTER TABLE tracks ALTER file_path TYPE text")
	exec("DELETE FROM tracks")
	exec("ALTER TABLE tracks ALTER file_path TYPE varchar(700)")
	exec(oneTrack)
	exec("DELETE FROM tracks")
}

// Whoever writes the platform's rows needs no right on trackstore's tables, and whatever search path it has.
func TestOtherWritersNeedNoRights(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec(oneTrack)
	d.own("UPDATE tracks SET storage_backend = 's3', storage_key = 'k'")
	role := d.role()
	d.exec("GRANT SELECT, UPDATE, DELETE ON tracks TO " + role)
	for _, sql := range []string{"UPDATE public.tracks SET file_path = 'b.wav'", "DELETE FROM public.tracks"} {
		d.exec("SET ROLE " + role + "; SET search_path = pg_temp; CREATE TEMP TABLE track_discards (x int); " + sql + "; DROP TABLE pg_temp.track_discards; RESET search_path; RESET ROLE")
	}
	if got := d.query("SELECT string_agg(concat_ws(' ', backend, storage_key), ',' ORDER BY backend, storage_key) FROM track_discards WHERE storage_key NOT LIKE '%/'"); got != "local a.wav,local b.wav,s3 k" {
		t.Errorf("noted: %s", got)
	}
}

// A statement of the platform's pays for one call of trackstore's for each row that it updates.
func TestAnUpdateCallsOneFunction(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec("INSERT INTO tracks (id, creator_id, title, file_path) SELECT gen_random_uuid(), gen_random_uuid(), 'x', n || '.wav' FROM generate_series(1, 10) n")
	tx, err := d.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // nothing of it is kept
	if _, err := tx.Exec(t.Context(), "SET LOCAL track_functions = 'all'; UPDATE tracks SET title = 'y'"); err != nil {
		t.Fatal(err)
	}
	var calls int
	if err := tx.QueryRow(t.Context(), "SELECT sum(calls) FROM pg_stat_xact_user_functions").Scan(&calls); err != nil || calls != 10 {
		t.Errorf("%d calls for ten rows, %v", calls, err)
	}
}

// A row that is deleted outright is noted as one that is marked as deleted.
func TestADeletedRowIsNoted(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec("CREATE TABLE albums (id int PRIMARY KEY); INSERT INTO albums VALUES (1)")
	d.exec(`CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid NOT NULL, title text, file_path text, album int REFERENCES albums ON DELETE CASCADE)`)
	d.up()
	d.exec("INSERT INTO tracks (id, creator_id, title, file_path, album) SELECT gen_random_uuid(), gen_random_uuid(), 'x', n || repeat(md5(n::text), n * 30), 1 FROM generate_series(1, 3) n")
	d.own("UPDATE tracks SET storage_backend = 's3', storage_key = 'k'") // all of one: rows that were copied
	d.exec("DELETE FROM albums")
	if got := d.query("SELECT string_agg(n || ' ' || backend, ',' ORDER BY backend) FROM (SELECT backend, count(*) AS n FROM track_discards WHERE reason = 'deleted' GROUP BY backend) AS notes"); got != "8 local,7 s3" {
		t.Errorf("noted: %s", got) // a path that no index takes is not
	}
}

// A track that the platform deletes, by either way, is told of once, as one that the API deletes; and when it comes back, as ready.
func TestAPlatformsDeletionsAreToldOf(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("../pgstore/sql/parts/event_data.sql")
	if err != nil {
		t.Fatal(err)
	}
	d := newDatabase(t)
	d.exec(`CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title varchar(100), file_path text, deleted_at timestamp, created_at timestamp)`)
	d.up()
	for name, c := range map[string]struct {
		foreign string // statements, or
		own     string
		told    string // types, in order
	}{
		"another column":         {"UPDATE tracks SET title = 'y'", "", ""},
		"marked":                 {"UPDATE tracks SET deleted_at = now()", "", "deleted"},
		"marked again":           {"UPDATE tracks SET deleted_at = now(); UPDATE tracks SET deleted_at = now() + interval '1 s', title = 'y'", "", "deleted"},
		"marked, then removed":   {"UPDATE tracks SET deleted_at = now(); DELETE FROM tracks", "", "deleted"},
		"removed":                {"DELETE FROM tracks", "", "deleted"},
		"undeleted":              {"UPDATE tracks SET deleted_at = now(); UPDATE tracks SET deleted_at = NULL", "", "deleted ready"},
		"undeleted, and again":   {"UPDATE tracks SET deleted_at = now(); UPDATE tracks SET deleted_at = NULL; UPDATE tracks SET deleted_at = NULL, title = 'y'", "", "deleted ready"},
		"undeleted, and no file": {"UPDATE tracks SET deleted_at = now(), status = 'uploading'; UPDATE tracks SET deleted_at = NULL", "", "deleted"},
		"undeleted by a save":    {"UPDATE tracks SET deleted_at = now(); UPDATE tracks SET deleted_at = NULL, storage_backend = 's3', storage_key = 'old'", "", "deleted ready"},
		"marked, and taken back": {"BEGIN; UPDATE tracks SET deleted_at = now(); ROLLBACK", "", ""},
		"by trackstore":          {"", "UPDATE tracks SET deleted_at = now()", ""}, // which tells of it in the same statement
	} {
		d.exec("TRUNCATE tracks, track_events")
		d.exec(oneTrack)
		d.exec("UPDATE tracks SET created_at = '2026-03-10 05:15:00.5', title = 'x'")
		want := d.query("SELECT (" + string(data) + ")::text FROM tracks t")
		if c.own != "" {
			d.own(c.own)
		} else {
			d.exec(c.foreign)
		}
		if got := d.query("SELECT coalesce(string_agg(type, ' ' ORDER BY seq), '') FROM track_events WHERE track_id = '00000000-0000-0000-0000-000000000001'"); got != c.told {
			t.Errorf("%s: told %q, want %q", name, got, c.told)
		}
		if name == "removed" || name == "marked" || name == "undeleted" {
			if got := d.query("SELECT data::text FROM track_events ORDER BY seq DESC LIMIT 1"); got != want {
				t.Errorf("told: %s\nwant %s", got, want)
			}
		}
	}
	d.exec("TRUNCATE tracks, track_events")
	d.exec(oneTrack)
	d.exec("ALTER TABLE tracks ALTER deleted_at TYPE timestamptz, ALTER title TYPE text")
	d.exec("UPDATE tracks SET deleted_at = now()")
	if got := d.query("SELECT count(*) FROM track_events"); got != "1" {
		t.Errorf("after a change of types, told %s times", got)
	}
	role := d.role() // who has no rights on trackstore's tables
	d.exec("GRANT SELECT, DELETE, UPDATE ON tracks TO " + role + "; UPDATE tracks SET deleted_at = NULL")
	d.exec("SET ROLE " + role + "; UPDATE tracks SET deleted_at = now(); UPDATE tracks SET deleted_at = NULL; DELETE FROM tracks; RESET ROLE")
	if got := d.query("SELECT count(*) FROM track_events"); got != "5" {
		t.Errorf("by another role, told %s times", got)
	}
}
