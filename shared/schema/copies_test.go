package schema_test

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/devstack/localpg"
	"trackstore/shared/schema"
)

// A dump has all that there is, and restored into a new database it goes on as it was.
func TestDumpAndRestore(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec(platforms["its own ways"])
	d.exec(insertRows, 4)
	d.up()
	d.exec("UPDATE tracks SET file_path = 'new/' || file_path WHERE title = 'Nocturne 1'")
	d.own("UPDATE tracks SET storage_backend = 's3', storage_key = 'k' || title, storage_version_id = 'v' WHERE title IN ('Nocturne 2', 'Nocturne 3')")
	d.exec("DELETE FROM tracks WHERE title = 'Nocturne 3'")

	restored := newDatabase(t)
	dump := exec.CommandContext(t.Context(), "pg_dump", "--dbname", d.url)
	restore := exec.CommandContext(t.Context(), "psql", "--quiet", "--output=/dev/null", "--no-psqlrc", "--set=ON_ERROR_STOP=1", "--dbname", restored.url)
	var err error
	if restore.Stdin, err = dump.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	restore.Stdout, restore.Stderr, dump.Stderr = t.Output(), t.Output(), t.Output()
	if err := dump.Start(); err != nil {
		t.Fatal(err)
	}
	if err := restore.Run(); err != nil {
		t.Fatal("psql:", err)
	}
	if err := dump.Wait(); err != nil {
		t.Fatal("pg_dump:", err)
	}
	// Postgres writes an expression down in another way once it has read it back.
	expression := regexp.MustCompile(`(CHECK|WHERE) \(.*`)
	if diff := cmp.Diff(expression.ReplaceAllString(d.dump(), "$1"), expression.ReplaceAllString(restored.dump(), "$1")); diff != "" {
		t.Errorf("the restored schema differs: %s", diff)
	}
	for _, table := range []string{"tracks", "track_discards", "track_former_paths", "track_events", "trackstore_adoption", "trackstore_schema_migrations"} {
		rows := "SELECT md5(string_agg(r::text, ',' ORDER BY r::text)) FROM " + table + " r"
		if want, got := d.query(rows), restored.query(rows); got != want {
			t.Errorf("the rows of %s differ", table)
		}
	}

	if got, err := schema.Up(t.Context(), schema.Database{URL: restored.url}); err != nil || got.From != latest {
		t.Errorf("up: %+v, %v", got, err)
	}
	if found := problems(restored.check("")); len(found) > 0 {
		t.Errorf("check: %+v", found)
	}
	restored.exec("UPDATE tracks SET storage_backend = 'local', storage_key = NULL WHERE title = 'Nocturne 2'")                           // a stale save
	restored.exec("UPDATE tracks SET file_path = replace(file_path, 'new/', '') WHERE title = 'Nocturne 1'")                              // another
	restored.exec("UPDATE tracks SET file_path = 'newer.flac' WHERE title = 'Nocturne 4'; DELETE FROM tracks WHERE title = 'Nocturne 2'") // two that count
	if got := restored.query("SELECT string_agg(concat_ws(' ', title, storage_backend, file_path LIKE 'new%', file_version), ',' ORDER BY title) FROM tracks"); got != "Nocturne 1 local t 2,Nocturne 4 local t 2" {
		t.Errorf("afterwards: %s", got)
	}
	if got := restored.query("SELECT string_agg(data ->> 'title', ',' ORDER BY seq) FROM track_events"); got != "Nocturne 3,Nocturne 2" {
		t.Errorf("told of: %s", got)
	}
	restored.exec("DELETE FROM track_discards; UPDATE tracks SET storage_backend = 'local'")
	restored.down()
}

// A subscriber stops at what schema up adds until it has that, too, which schema check says beforehand with the statements;
// then it goes on where it stopped.
func TestLogicalReplication(t *testing.T) {
	t.Parallel()
	server := logicalServer(t)
	for name, publication := range map[string]string{"one_table": "FOR TABLE tracks", "all_tables": "FOR ALL TABLES"} {
		open := func(role string) database {
			database := database{t: t, url: server.URL(name + role)}
			if err := server.CreateDatabase(t.Context(), name+role); err != nil {
				t.Fatal(err)
			}
			var err error
			if database.Pool, err = pgxpool.New(t.Context(), database.url); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(database.Close)
			database.exec("CREATE TABLE tracks (" + wellFormed + ", plays int DEFAULT 0)")
			return database
		}
		publisher, subscriber := open("_publisher"), open("_subscriber")
		publisher.exec("INSERT INTO tracks (creator_id, title, file_path) SELECT gen_random_uuid(), 'x', n || '.mp3' FROM generate_series(1, 3) n")
		publisher.exec("CREATE PUBLICATION platform " + publication)
		publisher.exec("SELECT pg_create_logical_replication_slot('" + name + "', 'pgoutput')")
		subscriber.exec("CREATE SUBSCRIPTION " + name + " CONNECTION '" + publisher.url + "' PUBLICATION platform WITH (create_slot = false, slot_name = '" + name + "')")
		same := func(when, columns string) {
			t.Helper()
			rows := "SELECT coalesce(string_agg(concat_ws(' ', " + columns + "), ',' ORDER BY id), '') FROM tracks"
			for deadline := time.Now().Add(time.Minute); ; time.Sleep(50 * time.Millisecond) {
				want, got := publisher.query(rows), subscriber.query(rows)
				if want == got {
					return
				}
				if time.Now().After(deadline) {
					t.Fatalf("%s: %s: the subscriber has %s, and the publisher %s", name, when, got, want)
				}
			}
		}
		same("at first", "id, plays")

		var fix string
		for _, f := range publisher.check("") {
			if f.Kind == "published" {
				_, fix, _ = strings.Cut(f.Fix, "\n")
			}
		}
		publisher.up()
		publisher.exec("UPDATE tracks SET plays = 1")
		for deadline := time.Now().Add(time.Minute); subscriber.query("SELECT apply_error_count > 0 FROM pg_stat_subscription_stats WHERE subname = '"+name+"'") != "true"; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("%s: the subscriber goes on without the columns", name)
			}
		}
		sql, command, both := strings.Cut(fix, "-- ")
		subscriber.exec(sql)
		if both {
			_, command, _ = strings.Cut(command, "\n")
			command = strings.NewReplacer("$PUBLISHER", publisher.url, "$SUBSCRIBER", subscriber.url).Replace(command)
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
		same("with the columns", "id, plays, storage_backend")
		publisher.own("UPDATE tracks SET storage_backend = 's3', storage_key = 'k' WHERE file_path <> '3.mp3'")
		publisher.exec("UPDATE tracks SET file_path = 'new.mp3', plays = 2 WHERE file_path = '1.mp3'")
		publisher.exec("DELETE FROM tracks WHERE file_path = '2.mp3'")
		same("afterwards", "id, plays, file_path, storage_backend, storage_key, file_version")
		subscriber.exec("ALTER SUBSCRIPTION " + name + " DISABLE")
	}
}

// logicalServer is a server of the test's own, for the tests' common one writes no more than it needs itself.
func logicalServer(t *testing.T) *localpg.Server {
	t.Helper()
	cfg := localpg.Config{DataDir: filepath.Join(t.TempDir(), "postgres"), Copy: true, Durable: true}
	for _, sql := range []string{"ALTER SYSTEM SET wal_level = logical; ALTER SYSTEM SET wal_retrieve_retry_interval = '100ms'; ALTER SYSTEM SET fsync = off", ""} {
		server, err := localpg.Start(t.Context(), cfg)
		if err != nil {
			t.Fatal(err)
		}
		if sql == "" {
			t.Cleanup(func() {
				// It may lie outside of the test's folder.
				if err := errors.Join(server.Stop(context.Background()), os.RemoveAll(server.DataDir())); err != nil {
					t.Error(err)
				}
			})
			return server
		}
		pool, err := pgxpool.New(t.Context(), server.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		for _, one := range strings.Split(sql, "; ") {
			if _, err := pool.Exec(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		pool.Close()
		if err := server.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	return nil
}
