package schema_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"trackstore/shared/schema"
	"trackstore/shared/track"
)

// The columns of a platform's table that trackstore works with as it is.
const wellFormed = `id uuid PRIMARY KEY DEFAULT gen_random_uuid(), creator_id uuid NOT NULL, title varchar(255) NOT NULL, file_path varchar(500),
	deleted_at timestamptz`

func (d database) check(role string) []schema.Finding {
	d.t.Helper()
	found, err := schema.Check(d.t.Context(), schema.Database{URL: d.url}, role)
	if err != nil {
		d.t.Fatal(err)
	}
	return found
}

func problems(found []schema.Finding) (problems []schema.Finding) {
	for _, f := range found {
		if f.Level == schema.Problem {
			problems = append(problems, f)
		}
	}
	return problems
}

func TestASoundTableHasNoProblem(t *testing.T) {
	t.Parallel()
	for name, create := range platforms {
		d := newDatabase(t)
		d.exec(create)
		d.exec(insertRows, 3)
		before := d.structure()
		for _, when := range []string{"before", "after"} {
			if found := problems(d.check("")); len(found) > 0 {
				t.Errorf("%s, %s up: %+v", name, when, found)
			}
			if when == "before" {
				if diff := cmp.Diff(before, d.structure()); diff != "" {
					t.Errorf("%s: the check left a trace: %s", name, diff)
				}
				d.up()
			}
		}
		if got := d.query("SELECT count(*) FROM tracks"); got != "3" {
			t.Errorf("%s: the check left %s rows", name, got)
		}
	}
	empty := newDatabase(t)
	if found := empty.check(""); len(found) > 0 {
		t.Errorf("an empty database: %+v", found)
	}
}

// What there is to know, and stops nothing.
func TestNotes(t *testing.T) {
	t.Parallel()
	for kind, setUp := range map[string]string{
		"foreign_key":   "CREATE TABLE users (id uuid PRIMARY KEY); CREATE TABLE tracks (" + wellFormed + ", FOREIGN KEY (creator_id) REFERENCES users (id)); INSERT INTO users VALUES (gen_random_uuid()); INSERT INTO tracks (creator_id, title) SELECT id, 'x' FROM users",
		"not_tried":     "CREATE TABLE users (id uuid PRIMARY KEY); CREATE TABLE tracks (" + wellFormed + ", FOREIGN KEY (creator_id) REFERENCES users (id))",
		"published":     "CREATE TABLE tracks (" + wellFormed + "); CREATE PUBLICATION all_tracks FOR TABLE tracks",
		"deleted":       "CREATE TABLE tracks (" + wellFormed + "); INSERT INTO tracks (creator_id, title, file_path, deleted_at) VALUES (gen_random_uuid(), 'x', 'x.mp3', now() - interval '1 year')",
		"null":          "CREATE TABLE tracks (" + wellFormed + ", created_at timestamptz); INSERT INTO tracks (creator_id, title) VALUES (gen_random_uuid(), 'x')",
		"time_zone":     "CREATE TABLE tracks (" + wellFormed + ", created_at timestamp NOT NULL DEFAULT now())",
		"unlogged":      "CREATE UNLOGGED TABLE tracks (" + wellFormed + ")",
		"another_table": "CREATE TABLE tracks (" + wellFormed + "); CREATE SCHEMA archive; CREATE TABLE archive.tracks (id int)",
		"event_trigger": "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE EVENT TRIGGER watch ON ddl_command_end EXECUTE FUNCTION f()",
		"unique":        "CREATE TABLE tracks (" + wellFormed + ", UNIQUE (creator_id, title))",
		"url":           "CREATE TABLE tracks (" + wellFormed + "); INSERT INTO tracks (creator_id, title, file_path) VALUES (gen_random_uuid(), 'x', 'https://cdn.example.com/x.mp3')",
	} {
		d := newDatabase(t)
		d.exec(setUp)
		for _, when := range []string{"before", "after"} {
			found := d.check("")
			noteIsDue := kind != "event_trigger" || when == "before"
			if len(problems(found)) > 0 || noteIsDue != slices.ContainsFunc(found, func(f schema.Finding) bool { return f.Kind == kind }) {
				t.Errorf("%s, %s up: %+v", kind, when, found)
			}
			if when == "before" {
				d.up()
			}
		}
	}
}

// Hidden rows are no error anywhere: there are just none.
func TestRowSecurity(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec("CREATE TABLE tracks (" + wellFormed + "); ALTER TABLE tracks ENABLE ROW LEVEL SECURITY; CREATE POLICY own ON tracks USING (creator_id::text = current_setting('app.user', true))")
	d.up()
	role := d.role()
	about := func(found []schema.Finding) []schema.Finding {
		return slices.DeleteFunc(problems(found), func(f schema.Finding) bool { return f.Kind != "row_security" })
	}
	if found := about(d.check("")); len(found) > 0 {
		t.Errorf("the owner: %+v", found)
	}
	found := about(d.check(role))
	if len(found) != 1 {
		t.Fatalf("a role: %+v", found)
	}
	d.exec(found[0].Fix)
	if found := about(d.check(role)); len(found) > 0 {
		t.Errorf("after the mend: %+v", found)
	}
	d.exec("CREATE POLICY live ON tracks AS RESTRICTIVE USING (deleted_at IS NULL)")
	if found = about(d.check(role)); len(found) != 1 || !strings.Contains(found[0].Fix, "BYPASSRLS") {
		t.Fatalf("a restrictive policy: %+v", found)
	}
	d.exec(found[0].Fix)
	if found := about(d.check(role)); len(found) > 0 {
		t.Errorf("after the second mend: %+v", found)
	}
	if _, err := schema.Check(t.Context(), schema.Database{URL: d.url}, "nobody at all"); err == nil {
		t.Error("a role that is not there is no error")
	}
}

// What only the role of the functions meets: its own search path, and triggers that run with its rights.
func TestTheRolesOwnTroubles(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec("CREATE TABLE tracks (" + wellFormed + ", tags text[], search tsvector GENERATED ALWAYS AS (to_tsvector('simple', title)) STORED); CREATE TABLE audit (at timestamptz, track uuid)")
	d.exec(`CREATE FUNCTION audited() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO audit VALUES (now(), NEW.id); RETURN NULL; END $$;
		CREATE TRIGGER audited AFTER INSERT OR UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION audited()`)
	d.up()
	role := d.role()
	text, err := schema.Grants(t.Context(), schema.Database{URL: d.url}, role)
	if err != nil {
		t.Fatal(err)
	}
	d.exec(text)
	d.exec("CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.tracks (x int); ALTER ROLE " + role + " SET search_path = elsewhere, public")
	d.exec("ALTER ROLE " + role + " SET statement_timeout = '1min'")
	if found, err := schema.Check(t.Context(), schema.Database{URL: d.as(role) + "&search_path=public"}, ""); err != nil || !slices.ContainsFunc(found, func(f schema.Finding) bool { return f.Kind == "trigger_rights" }) {
		t.Errorf("as the role itself: %+v, %v", found, err)
	}
	for _, kind := range []string{"search_path", "trigger_rights"} {
		found := problems(d.check(role))
		i := slices.IndexFunc(found, func(f schema.Finding) bool { return f.Kind == kind })
		if i < 0 {
			t.Fatalf("not named %s: %+v", kind, found)
		}
		d.exec(found[i].Fix)
	}
	if found := problems(d.check(role)); len(found) > 0 {
		t.Errorf("after the mends: %+v", found)
	}
	if got := d.query("SELECT count(*) FROM tracks"); got != "0" {
		t.Errorf("the check left %s rows", got)
	}
}

// A role that has what is printed for all functions lacks nothing, and one that has nothing is told each line.
func TestMissingRightsAreLinesToRun(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec("CREATE SCHEMA media; CREATE TABLE media.tracks (" + wellFormed + ")")
	db := schema.Database{URL: d.url, Tracks: table(t, "media.tracks")}
	if _, err := schema.Up(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	role := d.role()
	missing := func() (lines []string) {
		found, err := schema.Check(t.Context(), db, role)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range problems(found) {
			if f.Kind != "rights" {
				t.Errorf("%+v", f)
			}
			lines = append(lines, f.Fix)
		}
		return lines
	}
	lines := missing()
	if len(lines) < 10 {
		t.Errorf("%q", lines)
	}
	for _, line := range lines {
		d.exec(line)
	}
	if lines := missing(); len(lines) > 0 {
		t.Errorf("after the mend: %q", lines)
	}
	d.exec("DROP OWNED BY " + role)
	text, err := schema.Grants(t.Context(), db, role)
	if err != nil {
		t.Fatal(err)
	}
	d.exec(text)
	if lines := missing(); len(lines) > 0 {
		t.Errorf("after what is printed: %q", lines)
	}
	// A function that has these rights and no more is content with what the owner has brought up.
	if change, err := schema.Up(t.Context(), schema.Database{URL: d.as(role), Tracks: db.Tracks}); err != nil || change.From != latest || change.To != latest {
		t.Errorf("up, with nothing to do: %+v, %v", change, err)
	}
}

func TestWhoMayNotBringTheSchemaUpIsTold(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.exec("CREATE TABLE tracks (" + wellFormed + "); REVOKE CREATE ON SCHEMA public FROM PUBLIC")
	role := d.role()
	url := d.as(role)
	_, err := schema.Up(t.Context(), schema.Database{URL: url})
	var refusal *schema.Refusal
	if !errors.As(err, &refusal) || len(refusal.Findings) != 2 {
		t.Fatalf("%v", err)
	}
	for _, f := range refusal.Findings {
		d.exec(f.Fix)
	}
	if _, err := schema.Up(t.Context(), schema.Database{URL: url}); err != nil {
		t.Error(err)
	}
}

func table(t *testing.T, name string) track.Table {
	t.Helper()
	parsed, err := track.ParseTable(name)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// Wherever the platform's table is, and whatever it is called, it gets what it needs, and all of it is taken back.
func TestTablesElsewhere(t *testing.T) {
	t.Parallel()
	usual := newDatabase(t)
	usual.exec("CREATE TABLE tracks (" + wellFormed + ")")
	usual.up()
	indexes := usual.query("SELECT count(*) FROM pg_index WHERE indrelid = 'tracks'::regclass")
	for _, name := range []string{"media.tracks", `"Tracks"`, `"Media Library"."Track's"`, "public.song", `"user"`} {
		d := newDatabase(t)
		tracks := table(t, name)
		if s := tracks.Schema(); s != "" && s != "public" {
			d.exec(fmt.Sprintf("CREATE SCHEMA %q", s))
		}
		d.exec("CREATE TABLE " + name + " (" + wellFormed + ", track_uploads_count int DEFAULT 0)")
		d.exec("INSERT INTO " + name + " (creator_id, title, file_path) VALUES (gen_random_uuid(), 'x', 'a.mp3')")
		before := d.dump()
		db := schema.Database{URL: d.url, Tracks: tracks}
		if got, err := schema.Up(t.Context(), db); err != nil || got.To != latest {
			t.Fatalf("%s: up: %+v, %v", name, got, err)
		}
		if found, err := schema.Check(t.Context(), db, ""); err != nil || len(problems(found)) > 0 {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
		if got := d.query("SELECT count(*) FROM pg_index WHERE indrelid = '" + strings.ReplaceAll(name, "'", "''") + "'::regclass AND indisvalid"); got != indexes {
			t.Errorf("%s: %s indexes, want %s", name, got, indexes)
		}
		if got := d.query("SELECT storage_backend || file_version FROM " + name); got != "local1" {
			t.Errorf("%s: a row says %s", name, got)
		}
		// A schema that is up over one table is not up over another.
		if _, err := schema.Up(t.Context(), schema.Database{URL: d.url, Tracks: table(t, "elsewhere")}); err == nil || !strings.Contains(err.Error(), "TRACKS_TABLE") {
			t.Errorf("%s: up over another table: %v", name, err)
		}
		if got, err := schema.Down(t.Context(), db, schema.All); err != nil || got.To != 0 {
			t.Fatalf("%s: down: %+v, %v", name, got, err)
		}
		if diff := cmp.Diff(before, d.dump()); diff != "" {
			t.Errorf("%s: there and back: %s", name, diff)
		}
	}
}

// A platform that was there first keeps what it had: the two columns of 985, their CHECK and their index.
func TestWhatThePlatformHadStays(t *testing.T) {
	t.Parallel()
	for name, create := range map[string]string{
		"the two columns":     ", storage_backend varchar(16) NOT NULL DEFAULT 'local', storage_key varchar(512)); CREATE INDEX by_backend ON tracks (storage_backend)",
		"all of 985":          ", storage_backend varchar(16) NOT NULL DEFAULT 'local', storage_key varchar(512), CONSTRAINT tracks_storage_backend_check CHECK (storage_backend IN ('local', 's3'))); CREATE INDEX tracks_storage_backend_s3_idx ON tracks (id) WHERE storage_backend = 's3'",
		"one of them":         ", storage_key text)",
		"columns of 986":      ", status varchar(20) DEFAULT 'live', created_at timestamptz, file_size bigint)",
		"an index of its own": "); CREATE INDEX tracks_file_path_idx ON tracks (file_path); COMMENT ON TABLE tracks IS 'the music'",
	} {
		d := newDatabase(t)
		d.exec("CREATE TABLE tracks (" + wellFormed + create)
		before := d.dump()
		for range 2 {
			d.up()
			if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 3); err != nil {
				t.Fatalf("%s: %+v, %v", name, got, err)
			}
			d.up()
			d.down()
			if diff := cmp.Diff(before, d.dump()); diff != "" {
				t.Fatalf("%s: there and back: %s", name, diff)
			}
		}
	}
}

// A run that fails on its way up leaves nothing behind that a way down, or the next way up, stumbles over.
func TestAFailedWayUpIsTakenBack(t *testing.T) {
	t.Parallel()
	for tag, next := range map[string]string{
		"CREATE TABLE": "one down", "ALTER TABLE": "down", "CREATE INDEX": "one down", "CREATE FUNCTION": "up", "CREATE TRIGGER": "one down",
	} {
		d := newDatabase(t)
		d.exec("CREATE TABLE tracks (" + wellFormed + ")")
		before := d.dump()
		d.exec(`CREATE FUNCTION fail() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
				IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity !~ 'trackstore_schema') THEN RAISE 'broken'; END IF; END $$;
				CREATE EVENT TRIGGER fail ON ddl_command_end WHEN TAG IN ('` + tag + `') EXECUTE FUNCTION fail()`)
		if got, err := schema.Up(t.Context(), schema.Database{URL: d.url}); err == nil {
			t.Fatalf("%s: up: %+v", tag, got)
		}
		d.exec("DROP EVENT TRIGGER fail; DROP FUNCTION fail()")
		if next == "one down" {
			if got, err := schema.Down(t.Context(), schema.Database{URL: d.url}, 1); err != nil {
				t.Fatalf("%s: %s: %+v, %v", tag, next, got, err)
			}
		}
		if next != "down" {
			d.up()
		}
		d.down()
		if diff := cmp.Diff(before, d.dump()); diff != "" {
			t.Errorf("%s, then %s: %s", tag, next, diff)
		}
	}
}
