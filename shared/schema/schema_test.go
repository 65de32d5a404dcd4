package schema_test

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"net/url"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/testenv"
	"trackstore/migrations"
	"trackstore/shared/schema"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// versions are those of the embedded migrations, in order.
var versions = func() (all []uint) {
	names, err := fs.Glob(migrations.FS, "*.up.sql")
	if err != nil || len(names) == 0 {
		panic("no migrations")
	}
	for _, name := range names {
		v, err := strconv.ParseUint(name[:6], 10, 32)
		if err != nil {
			panic(err)
		}
		all = append(all, uint(v))
	}
	return all
}()

var latest = versions[len(versions)-1]

// database is an empty database, and a way behind the schema's back.
type database struct {
	*pgxpool.Pool
	t   testing.TB
	url string
}

func newDatabase(t testing.TB) database {
	t.Helper()
	d := database{t: t, url: testenv.EmptyPostgres(t)}
	var err error
	if d.Pool, err = pgxpool.New(t.Context(), d.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(d.Close)
	return d
}

func (d database) exec(sql string, args ...any) {
	d.t.Helper()
	if _, err := d.Exec(d.t.Context(), sql, args...); err != nil {
		d.t.Fatal(err)
	}
}

// run runs one migration's file, as golang-migrate's own command would.
func (d database) run(name string) {
	d.t.Helper()
	sql, err := fs.ReadFile(migrations.FS, name)
	if err != nil {
		d.t.Fatal(err)
	}
	d.exec(string(sql))
}

// own runs a statement as trackstore's own.
func (d database) own(sql string) {
	d.t.Helper()
	d.exec("BEGIN; SET LOCAL trackstore.writer = 'on'; " + sql + "; COMMIT")
}

// role makes a role that may log in, and is gone with the test.
func (d database) role() string {
	d.t.Helper()
	role := "role_" + strings.ToLower(rand.Text())
	d.exec("CREATE ROLE " + role + " LOGIN PASSWORD 'secret'")
	d.t.Cleanup(func() {
		if _, err := d.Exec(context.Background(), "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role); err != nil {
			d.t.Error(err)
		}
	})
	return role
}

func (d database) up() {
	d.t.Helper()
	if got, err := schema.Up(d.t.Context(), schema.Database{URL: d.url}); err != nil || got.To != latest {
		d.t.Fatalf("up: %+v, %v", got, err)
	}
}

func (d database) down() {
	d.t.Helper()
	if got, err := schema.Down(d.t.Context(), schema.Database{URL: d.url}, 99); err != nil || got.To != 0 {
		d.t.Fatalf("down: %+v, %v", got, err)
	}
}

// query returns one value as text.
func (d database) query(sql string, args ...any) string {
	d.t.Helper()
	var text *string
	if err := d.QueryRow(d.t.Context(), "SELECT ("+sql+")::text", args...).Scan(&text); err != nil {
		d.t.Fatal(err)
	}
	if text == nil {
		return "none"
	}
	return *text
}

// as returns the database's URL for a role.
func (d database) as(role string) string {
	d.t.Helper()
	u, err := url.Parse(d.url)
	if err != nil {
		d.t.Fatal(err)
	}
	u.User = url.UserPassword(role, "secret")
	return u.String()
}

// dump is the schema as pg_dump has it.
func (d database) dump() string {
	d.t.Helper()
	out, err := exec.CommandContext(d.t.Context(), "pg_dump", "--schema-only", "--dbname", d.url).Output()
	if errors.Is(err, exec.ErrNotFound) {
		testenv.Skip(d.t, "pg_dump is not installed")
	}
	if err != nil {
		d.t.Fatal(err)
	}
	// Newer versions write a key that is another each time.
	lines := slices.DeleteFunc(strings.Split(string(out), "\n"), func(line string) bool {
		return strings.HasPrefix(line, `\restrict`) || strings.HasPrefix(line, `\unrestrict`)
	})
	return strings.Join(lines, "\n")
}

// structure is everything in the schema, one line each.
func (d database) structure() []string {
	return strings.Split(d.query(`SELECT string_agg(line, E'\n' ORDER BY line) FROM (
		SELECT format('%s.%s %s %s', c.relname, attname, format_type(atttypid, atttypmod), attnotnull) AS line
		FROM pg_attribute a JOIN pg_class c ON c.oid = attrelid
		WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0 AND NOT attisdropped
		UNION ALL SELECT format('%s %s %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
		FROM pg_constraint WHERE connamespace = 'public'::regnamespace
		UNION ALL SELECT format('%s %s', indexdef, indisvalid)
		FROM pg_indexes JOIN pg_index ON indexrelid = format('%I.%I', schemaname, indexname)::regclass WHERE schemaname = 'public'
		UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal) lines`), "\n")
}

func TestUpDownUp(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	before := len(versions) - 2
	up := schema.Change{From: 0, To: latest}
	var first []string
	for _, step := range []struct {
		name string
		run  func() (schema.Change, error)
		want schema.Change
	}{
		{"up", func() (schema.Change, error) { return schema.Up(t.Context(), schema.Database{URL: d.url}) }, up},
		{"up again", func() (schema.Change, error) { return schema.Up(t.Context(), schema.Database{URL: d.url}) }, schema.Change{From: latest, To: latest}},
		{"one down", func() (schema.Change, error) { return schema.Down(t.Context(), schema.Database{URL: d.url}, 1) }, schema.Change{From: latest, To: versions[before]}},
		{"all down", func() (schema.Change, error) { return schema.Down(t.Context(), schema.Database{URL: d.url}, 99) }, schema.Change{From: versions[before], To: 0}},
		{"down again", func() (schema.Change, error) { return schema.Down(t.Context(), schema.Database{URL: d.url}, 1) }, schema.Change{}},
		{"up after down", func() (schema.Change, error) { return schema.Up(t.Context(), schema.Database{URL: d.url}) }, up},
	} {
		got, err := step.run()
		if err != nil || got != step.want {
			t.Fatalf("%s: got %+v, %v, want %+v", step.name, got, err, step.want)
		}
		version, dirty, err := schema.Version(t.Context(), d.url)
		if err != nil || dirty || version != got.To {
			t.Errorf("version after %s: got %d, dirty %t, %v", step.name, version, dirty, err)
		}
		switch structure := d.structure(); {
		case step.name == "up":
			first = structure
		case step.name == "all down" && structure[0] != "none":
			t.Errorf("after the way down there is %q", structure)
		case step.name == "up after down":
			if diff := cmp.Diff(first, structure); diff != "" {
				t.Errorf("the second way up differs: %s", diff)
			}
		}
	}
	if _, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 0); err == nil {
		t.Error("0 steps down are no error")
	}
}

// A run that was cut short anywhere, on its way up or down, is repaired by the next one.
func TestHalfDoneVersionsAreRepaired(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	whole := d.structure()
	for _, v := range versions {
		// The version's own file was run in whole or in part, or the next one's on the way down.
		d.exec("UPDATE trackstore_schema_migrations SET version = $1, dirty = true", v)
		d.up()
		if diff := cmp.Diff(whole, d.structure()); diff != "" {
			t.Errorf("up from half of %d: %s", v, diff)
		}
	}
	for i, v := range versions {
		if steps := len(versions) - 1 - i; steps > 0 {
			if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, steps); err != nil || got.To != v {
				t.Fatalf("down to %d: %+v, %v", v, got, err)
			}
		}
		d.exec("UPDATE trackstore_schema_migrations SET dirty = true")
		if got, dirty, err := schema.Version(t.Context(), d.url); got != v || !dirty || err != nil {
			t.Errorf("half of %d is told as %d, dirty %t, %v", v, got, dirty, err)
		}
		d.down()
		if got := d.structure(); got[0] != "none" {
			t.Errorf("down from half of %d leaves %q", v, got)
		}
		d.up()
	}
	d.down()
	d.exec("CREATE TABLE trackstore_schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL)")
	d.exec("INSERT INTO trackstore_schema_migrations VALUES (-1, true)") // half of the last way down
	d.up()
	if diff := cmp.Diff(whole, d.structure()); diff != "" {
		t.Error(diff)
	}
}

func TestAnIndexThatWasCutShortIsBuiltAgain(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'tracks_storage_backend_local_idx'::regclass")
	d.exec("UPDATE trackstore_schema_migrations SET version = 990, dirty = true")
	// A platform's own is its own business.
	d.exec("CREATE INDEX platform_idx ON tracks (title)")
	d.exec("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'platform_idx'::regclass")
	d.up()
	if got := d.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'tracks_storage_backend_local_idx'::regclass"); got != "true" {
		t.Errorf("valid: %s", got)
	}
	if got := d.query("SELECT to_regclass('platform_idx')"); got != "platform_idx" {
		t.Errorf("the platform's index is %s", got)
	}
}

func TestRunsAtTheSameTimeWaitForEachOther(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	var runs sync.WaitGroup
	for range 4 {
		runs.Go(func() {
			if got, err := schema.Up(t.Context(), schema.Database{URL: d.url}); err != nil || got.To != latest {
				t.Errorf("%+v, %v", got, err)
			}
		})
	}
	runs.Wait()
}

func TestARunThatWaitsEndsWithItsContext(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	tx, err := d.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback(context.Background()) //nolint:errcheck // of a transaction that only holds a lock
	if _, err := tx.Exec(t.Context(), "SELECT pg_advisory_xact_lock(hashtext('trackstore schema'), hashtext('public'))"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if _, err := schema.Up(ctx, schema.Database{URL: d.url}); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "another run") {
		t.Errorf("got %v", err)
	}
}

// An older program meets a newer schema when a deployment is rolled back.
func TestANewerSchemaIsLeftAlone(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec("UPDATE trackstore_schema_migrations SET version = 900000")
	if got, err := schema.Up(t.Context(), schema.Database{URL: d.url}); err != nil || got != (schema.Change{From: 900000, To: 900000}) {
		t.Errorf("up: %+v, %v", got, err)
	}
	if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 1); err == nil || !strings.Contains(err.Error(), "900000") {
		t.Errorf("down: %+v, %v", got, err)
	}
	d.exec("UPDATE trackstore_schema_migrations SET dirty = true")
	if got, err := schema.Up(t.Context(), schema.Database{URL: d.url}); err == nil || !strings.Contains(err.Error(), "900000") {
		t.Errorf("up from half of it: %+v, %v", got, err)
	}
	if v, dirty, err := schema.Version(t.Context(), d.url); v != 900000 || !dirty || err != nil {
		t.Errorf("the version is %d, dirty %t, %v", v, dirty, err)
	}
}

func TestTracksOnS3KeepTheSchema(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	d.exec(`INSERT INTO tracks (id, creator_id, title, storage_backend, storage_key)
		VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 's3', 'tracks/x')`)
	if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 1); err != nil || got.To == latest {
		t.Errorf("an index down: %+v, %v", got, err)
	}
	before := d.structure()
	if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 99); !errors.Is(err, schema.ErrTracksOnS3) {
		t.Errorf("all down: %+v, %v", got, err)
	}
	if diff := cmp.Diff(before, d.structure()); diff != "" {
		t.Error(diff)
	}
	d.own("UPDATE tracks SET storage_backend = 'local', storage_key = NULL, file_path = 'x.wav'")
	d.down()
	if got := d.query("SELECT count(*) FROM tracks"); got != "1" {
		t.Errorf("the way down left %s rows", got)
	}
	d.up()
}

func TestURLs(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	for _, mode := range []string{"simple_protocol", "exec", "cache_describe"} {
		u := d.url + "&pool_max_conns=3&application_name=x&default_query_exec_mode=" + mode
		if got, err := schema.Up(t.Context(), schema.Database{URL: u}); err != nil || got.To != latest {
			t.Errorf("%s: up: %+v, %v", mode, got, err)
		}
		if v, _, err := schema.Version(t.Context(), u); err != nil || v != latest {
			t.Errorf("%s: version: %d, %v", mode, v, err)
		}
		if got, err := schema.Down(t.Context(), schema.Database{URL: u}, 99); err != nil || got.To != 0 {
			t.Errorf("%s: down: %+v, %v", mode, got, err)
		}
	}
	for _, bad := range []string{"postgres://u:hidden@127.0.0.1:1/x", "postgres://u:hidden@%zz", "postgres://u:hidden@host/x?pool_max_conns=many"} {
		_, upErr := schema.Up(t.Context(), schema.Database{URL: bad})
		_, _, versionErr := schema.Version(t.Context(), bad)
		for _, err := range []error{upErr, versionErr} {
			if err == nil || strings.Contains(err.Error(), "hidden") {
				t.Errorf("%s: %v", bad, err)
			}
		}
	}
	u, err := url.Parse(d.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/nothing"
	if _, err := schema.Up(t.Context(), schema.Database{URL: u.String()}); err == nil {
		t.Error("a database that is not there is no error")
	}
}
