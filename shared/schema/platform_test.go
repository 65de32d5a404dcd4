package schema_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
	"trackstore/shared/schema"
)

// The tables that a platform may have had before trackstore came.
var platforms = map[string]string{
	"the least": `CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid NOT NULL, title text, file_path text)`,
	"its own ways": `CREATE TABLE tracks (
		id uuid PRIMARY KEY DEFAULT gen_random_uuid(), creator_id uuid NOT NULL, title varchar(255) NOT NULL,
		file_path varchar(512) NOT NULL, status varchar(20) NOT NULL DEFAULT 'live',
		created_at timestamp NOT NULL DEFAULT now(), updated_at timestamp NOT NULL DEFAULT now(), plays bigint NOT NULL DEFAULT 0,
		CONSTRAINT tracks_status_values CHECK (status IN ('live', 'draft', 'banned', 'uploading', 'ready', 'failed')));
		CREATE INDEX tracks_file_path_idx ON tracks (file_path)`,
}

const insertRows = `INSERT INTO tracks (id, creator_id, title, file_path)
	SELECT gen_random_uuid(), gen_random_uuid(), 'Nocturne ' || n, 'albums/' || n / 12 || '/' || n || '.flac' FROM generate_series(1, $1) n`

func TestTheBaselineLeavesAPlatformsTableAlone(t *testing.T) {
	t.Parallel()
	for name, create := range platforms {
		d := newDatabase(t)
		d.exec(create)
		d.exec(insertRows, 10)
		before := d.structure()
		d.run("000001_create_tracks.up.sql")
		if diff := cmp.Diff(before, d.structure()); diff != "" {
			t.Errorf("%s: up: %s", name, diff)
		}
		d.run("000001_create_tracks.down.sql")
		if diff := cmp.Diff(before, d.structure()); diff != "" {
			t.Errorf("%s: down: %s", name, diff)
		}
	}
}

func TestUpAndDownOverAPlatformsTable(t *testing.T) {
	t.Parallel()
	for name, create := range platforms {
		d := newDatabase(t)
		d.exec(create)
		d.exec(insertRows, 1000)
		rows := func() string {
			return d.query("SELECT md5(string_agg(id || title || file_path, ',' ORDER BY id)) FROM tracks")
		}
		before := rows()
		d.up()
		if got := d.query("SELECT count(*) FROM tracks WHERE storage_backend = 'local' AND storage_key IS NULL AND file_version = 1"); got != "1000" {
			t.Errorf("%s: %s rows are local, in version 1", name, got)
		}
		if name == "its own ways" {
			d.exec("UPDATE tracks SET status = 'banned' WHERE title = 'Nocturne 1'")
		}
		d.down()
		if rows() != before {
			t.Errorf("%s: there and back, rows have changed", name)
		}
		if got := strings.Join(d.structure(), "\n"); strings.Contains(got, "storage_") || strings.Contains(got, "file_version") ||
			name == "its own ways" && !strings.Contains(got, "tracks_file_path_idx") {
			t.Errorf("%s: the way down left, or took:\n%s", name, got)
		}
		d.up()
	}
}

func TestATableThatCannotDoIsRefused(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]string{
		"numbers as ids": "CREATE TABLE tracks (id bigint PRIMARY KEY, creator_id uuid, title text, file_path text)",
		"no creator":     "CREATE TABLE tracks (id uuid PRIMARY KEY, title text, file_path text)",
		"no path":        "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text)",
	} {
		d := newDatabase(t)
		d.exec(create)
		if got, err := schema.Up(t.Context(), schema.Database{URL: d.url}); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if got := d.query("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'"); got != "1" {
			t.Errorf("%s: the refusal left %s tables", name, got)
		}
	}
}

// The platform's readers and writers go on while a million rows get their columns and
// indexes: each of their statements gives up where it has to wait for three seconds.
func TestAMillionRowsWithoutALongLock(t *testing.T) {
	t.Parallel()
	rows := 1_000_000
	if testing.Short() {
		rows = 50_000
	}
	d := newDatabase(t)
	d.exec(platforms["its own ways"])
	d.exec(insertRows, rows)
	d.exec("ANALYZE tracks")

	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 2)
	var longest, statements atomic.Int64
	go func() {
		ended <- d.keepBusy(ctx, &longest, &statements, "UPDATE tracks SET plays = plays + 1 WHERE file_path = $1",
			"INSERT INTO tracks (creator_id, title, file_path) VALUES (gen_random_uuid(), 'new', 'new/' || $1::text)")
	}()
	go func() {
		ended <- d.keepBusy(ctx, &longest, &statements, "SELECT count(*) FROM tracks WHERE file_path = $1")
	}()
	began := time.Now()
	d.up()
	took := time.Since(began)
	stop()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	t.Logf("%d rows: up in %v; of %d statements meanwhile the slowest took %v", rows, took, statements.Load(), time.Duration(longest.Load()))
	if statements.Load() == 0 {
		t.Error("nobody read or wrote meanwhile")
	}
	if got := d.query("SELECT count(*) FROM tracks WHERE storage_backend = 'local' AND file_version = 1"); got != d.query("SELECT count(*) FROM tracks") {
		t.Errorf("%s rows are local, in version 1", got)
	}
	if got := d.query("SELECT count(*) FROM pg_index WHERE NOT indisvalid"); got != "0" {
		t.Errorf("%s indexes are not valid", got)
	}
}

// keepBusy runs statements until ctx ends.
func (d database) keepBusy(ctx context.Context, longest, count *atomic.Int64, statements ...string) error {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), d.url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(context.WithoutCancel(ctx), "SET lock_timeout = '3s'"); err != nil {
		return err
	}
	for n := 1; ctx.Err() == nil; n++ {
		for _, sql := range statements {
			began := time.Now()
			if _, err := conn.Exec(context.WithoutCancel(ctx), sql, fmt.Sprintf("albums/%d/%d.flac", n/12, n)); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
			count.Add(1)
			longest.Store(max(longest.Load(), int64(time.Since(began))))
			time.Sleep(time.Millisecond) // the machine's few cores are for the migration
		}
	}
	return nil
}

// Behind a long transaction a migration steps back and tries again: whoever comes after it
// would have to wait behind it.
func TestALongTransactionHoldsNobodyElseUp(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec(platforms["the least"])
	tx, err := d.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), "SELECT count(*) FROM tracks"); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		_, err := schema.Up(t.Context(), schema.Database{URL: d.url})
		done <- err
	}()
	var longest, statements atomic.Int64
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second) // more than one of its attempts
	defer cancel()
	if err := d.keepBusy(ctx, &longest, &statements, "SELECT count(*) FROM tracks WHERE file_path = $1"); err != nil {
		t.Error(err)
	}
	t.Logf("the slowest of %d statements took %v", statements.Load(), time.Duration(longest.Load()))
	select {
	case err := <-done:
		t.Errorf("up ended while the transaction was open: %v", err)
	default:
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Where the table is large, even one scan would hold writers back for long.
func TestALargeTableGetsItsIndexLater(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		testenv.Skip(t, "fills 600 MB")
	}
	d := newDatabase(t)
	d.exec("CREATE UNLOGGED TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text, file_path text, pad text)")
	d.exec("ALTER TABLE tracks ALTER pad SET STORAGE PLAIN") // a page for a row
	d.exec("INSERT INTO tracks SELECT gen_random_uuid(), gen_random_uuid(), 'x', 'x', repeat('x', 7000) FROM generate_series(1, 75000)")
	d.run("000985_add_track_storage_backend.up.sql")
	if got := d.query("SELECT to_regclass('tracks_storage_backend_s3_idx')"); got != "none" {
		t.Errorf("it is built at once: %s", got)
	}
	d.up()
	if got := d.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tracks_storage_backend_s3_idx')"); got != "true" {
		t.Errorf("it is valid: %s", got)
	}
}
