package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/schema"
)

// The columns of a platform's table that trackstore works with as it is.
const wellFormed = `id uuid PRIMARY KEY DEFAULT gen_random_uuid(), creator_id uuid NOT NULL, title varchar(255) NOT NULL, file_path varchar(500),
	deleted_at timestamptz`

// oddTables are the ways in which a table can be wrong.
var oddTables = []struct {
	name  string
	setUp string
	kind  string
	// refused: schema up does not begin, or comes to nothing.
	refused bool
	// mend is what is done, where it is not just the SQL that is printed.
	mend string
}{
	{"a column without default", "CREATE TABLE tracks (" + wellFormed + ", genre text NOT NULL)", "not_null", false, ""},
	{"two of them", "CREATE TABLE tracks (" + wellFormed + ", genre text NOT NULL, slug text NOT NULL UNIQUE)", "not_null", false, ""},
	{"a CHECK on status", "CREATE TABLE tracks (" + wellFormed + ", status varchar(20) NOT NULL DEFAULT 'completed' CHECK (status IN ('processing', 'completed')))", "check", false, ""},
	{"a CHECK on the path", "CREATE TABLE tracks (" + wellFormed + ", CONSTRAINT with_file CHECK (file_path <> ''))", "check", false, ""},
	{"a CHECK on the format", "CREATE TABLE tracks (" + wellFormed + ", format varchar(10), CHECK (format IN ('MP3', 'FLAC')))", "check", false, ""},
	{"an enum", "CREATE TYPE track_status AS ENUM ('draft', 'live'); CREATE TABLE tracks (" + wellFormed + ", status track_status NOT NULL DEFAULT 'live')", "enum", false, ""},
	{"an enum of formats", "CREATE TYPE audio AS ENUM ('mp3'); CREATE TABLE tracks (" + wellFormed + ", format audio)", "enum", false, ""},
	{"an enum without a cast", "CREATE TYPE audio AS ENUM ('mp3'); CREATE TABLE tracks (" + wellFormed + ", format audio)", "enum_cast", false, ""},
	{"a domain", "CREATE DOMAIN state AS text CONSTRAINT known CHECK (VALUE IN ('a', 'b')); CREATE TABLE tracks (" + wellFormed + ", status state DEFAULT 'a')", "domain", false, ""},
	{"a short column", "CREATE TABLE tracks (" + wellFormed + ", content_type varchar(10))", "length", false, ""},
	{"a short path", "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title varchar(100), file_path varchar(60))", "length", false, ""},
	{"a small number", "CREATE TABLE tracks (" + wellFormed + ", file_size int)", "length", false, ""},
	{"unique paths", "CREATE TABLE tracks (" + wellFormed + ", UNIQUE (file_path))", "unique", false, ""},
	{"unique paths of live rows", "CREATE TABLE tracks (" + wellFormed + "); CREATE UNIQUE INDEX paths ON tracks (file_path) WHERE deleted_at IS NULL", "unique", false, ""},
	{"one track a user", "CREATE TABLE tracks (" + wellFormed + ", UNIQUE (creator_id))", "unique", false, ""},
	{"an exclusion", "CREATE TABLE tracks (" + wellFormed + ", CONSTRAINT one_path EXCLUDE (file_path WITH =))", "exclusion", false, ""},
	{"a generated column", "CREATE TABLE tracks (" + wellFormed + ", status text GENERATED ALWAYS AS ('live') STORED)", "generated", false, ""},
	{"a rule", "CREATE TABLE tracks (" + wellFormed + "); CREATE RULE keep AS ON UPDATE TO tracks WHERE OLD.title = 'kept' DO INSTEAD NOTHING", "rule", false, ""},
	{"a trigger that swallows inserts", "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER veto BEFORE INSERT ON tracks FOR EACH ROW EXECUTE FUNCTION f()", "trigger_vetoes", false, ""},
	{"a trigger that swallows flips", "CREATE TABLE tracks (" + wellFormed + ", file_size bigint); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; CREATE TRIGGER veto BEFORE UPDATE ON tracks FOR EACH ROW WHEN (NEW.file_size IS DISTINCT FROM OLD.file_size) EXECUTE FUNCTION f()", "trigger_vetoes", false, ""},
	{"a trigger that refuses", "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more tracks'; END $$; CREATE TRIGGER veto AFTER INSERT ON tracks FOR EACH ROW EXECUTE FUNCTION f()", "trigger_vetoes", false, ""},
	{"a deferred trigger that refuses", "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no more tracks' USING ERRCODE = 'TR001'; END $$; CREATE CONSTRAINT TRIGGER veto AFTER INSERT ON tracks DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION f()", "trigger_vetoes", false, ""},
	{"a trigger that changes", "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.title := upper(NEW.title); RETURN NEW; END $$; CREATE TRIGGER shout BEFORE INSERT OR UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION f()", "trigger_changes", false, ""},
	{"rows without backend", "CREATE TABLE tracks (" + wellFormed + ", storage_backend text NOT NULL DEFAULT 'local'); INSERT INTO tracks (creator_id, title, storage_backend) VALUES (gen_random_uuid(), 'x', 'minio')", "storage_backend", true, ""},
	{"rows without key", "CREATE TABLE tracks (" + wellFormed + ", storage_backend text NOT NULL DEFAULT 'local', storage_key text); INSERT INTO tracks (creator_id, title, storage_backend) VALUES (gen_random_uuid(), 'x', 's3')", "storage_key", true, ""},
	{"an index by our name", "CREATE TABLE tracks (" + wellFormed + "); CREATE TABLE users (id uuid); CREATE INDEX tracks_trackstore_file_path_idx ON users (id)", "name_taken", true, "DROP TABLE users"},
	{"deleted for ever", "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text, file_path text, deleted_at timestamptz NOT NULL DEFAULT 'epoch')", "not_null", false, "ALTER TABLE tracks ALTER deleted_at DROP NOT NULL, ALTER deleted_at DROP DEFAULT"},

	{"a number as id", "CREATE TABLE tracks (id bigint PRIMARY KEY, creator_id uuid, title text, file_path text)", "integer_id", true, ""},
	{"a text as id", "CREATE TABLE tracks (id varchar(36) PRIMARY KEY, creator_id uuid, title text, file_path text)", "type", true, ""},
	{"texts as ids, with foreign keys", "CREATE TABLE users (id varchar(36) PRIMARY KEY); CREATE TABLE tracks (id char(36) PRIMARY KEY DEFAULT gen_random_uuid()::text, creator_id varchar(36) REFERENCES users (id) ON DELETE CASCADE, title text, file_path text); CREATE TABLE plays (track_id char(36) REFERENCES tracks (id), listener varchar(36) REFERENCES users (id)); INSERT INTO users SELECT gen_random_uuid(); INSERT INTO tracks (creator_id, title) SELECT id, 'x' FROM users; INSERT INTO plays SELECT tracks.id, users.id FROM tracks, users", "type", true, ""},
	{"ULIDs", "CREATE TABLE tracks (id char(26) PRIMARY KEY, creator_id uuid, title text, file_path text)", "text_id", true, ""},
	{"users by their provider's names", "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id text, title text, file_path text); INSERT INTO tracks VALUES (gen_random_uuid(), 'auth0|4711', 'x', 'x')", "text_id", true, ""},
	{"a path without case", "CREATE EXTENSION citext; CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title citext, file_path citext)", "case", true, ""},
	{"a path by a collation without case", "CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false); CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text, file_path text COLLATE loose)", "case", true, ""},
	{"an event trigger that refuses", "CREATE TABLE tracks (" + wellFormed + "); CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'ask the DBA'; END $$; CREATE EVENT TRIGGER veto ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION f()", "event_trigger", true, ""},
	{"a CHECK on the title's length", "CREATE TABLE tracks (" + wellFormed + ", CHECK (char_length(title) <= 100))", "check", false, ""},
	{"a table of Rails'", "CREATE TABLE tracks (id bigserial PRIMARY KEY, type varchar NOT NULL DEFAULT 'Track', creator_id bigint NOT NULL, title varchar, file_path varchar, lock_version int NOT NULL DEFAULT 0, created_at timestamp(6) NOT NULL, updated_at timestamp(6) NOT NULL)", "integer_id", true, ""},
	{"a table of Laravel's", "CREATE TABLE users (id char(26) PRIMARY KEY); CREATE TABLE tracks (id char(26) PRIMARY KEY, user_id char(26) NOT NULL REFERENCES users (id), name varchar(255) NOT NULL, path varchar(191) NOT NULL UNIQUE, meta jsonb, duration numeric(8, 2) GENERATED ALWAYS AS ((meta ->> 'duration')::numeric) STORED, status smallint NOT NULL DEFAULT 0, deleted_at timestamp(0), created_at timestamp(0)); INSERT INTO users VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV'); INSERT INTO tracks (id, user_id, name, path) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAW', '01ARZ3NDEKTSV4RRFFQ69G5FAV', 'x', 'a.mp3')", "missing_column", true, ""},
	{"a rule that adds", "CREATE TABLE tracks (" + wellFormed + "); CREATE TABLE log (id uuid); CREATE RULE adds AS ON INSERT TO tracks DO ALSO INSERT INTO log VALUES (NEW.id)", "rule", false, ""},
	{"a view that takes writes", "CREATE TABLE t (" + wellFormed + "); CREATE VIEW tracks AS SELECT * FROM t WHERE deleted_at IS NULL; CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; CREATE TRIGGER writes INSTEAD OF INSERT ON tracks FOR EACH ROW EXECUTE FUNCTION f()", "view", true, "DROP VIEW tracks; ALTER TABLE t RENAME TO tracks"},
	{"published without a key", "CREATE TABLE tracks (id uuid NOT NULL UNIQUE, creator_id uuid, title text, file_path text); CREATE PUBLICATION all_tracks FOR TABLE tracks", "replica_identity", false, ""},
	{"a creator by another name", "CREATE TABLE tracks (id uuid PRIMARY KEY, user_id uuid, title text, file_path text)", "missing_column", true, ""},
	{"no path at all", "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text)", "missing_column", true, ""},
	{"an id that is no key", "CREATE TABLE tracks (id uuid, creator_id uuid, title text, file_path text)", "id_not_unique", true, "CREATE UNIQUE INDEX ON tracks (id)"},
	{"deletions as numbers", "CREATE TABLE tracks (id uuid PRIMARY KEY, creator_id uuid, title text, file_path text, deleted_at bigint NOT NULL DEFAULT 0); INSERT INTO tracks VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 'x', 0), (gen_random_uuid(), gen_random_uuid(), 'y', 'y', 1700000000)", "type", true, ""},
	{"a status as a number", "CREATE TABLE tracks (" + wellFormed + ", status smallint NOT NULL DEFAULT 1)", "type", true, ""},
	{"its own backend, without default", "CREATE TABLE tracks (" + wellFormed + ", storage_backend varchar(20))", "storage_backend", true, ""},
	{"its own file_version", "CREATE TABLE tracks (" + wellFormed + ", file_version bigint)", "storage_column", true, ""},
	{"partitions", "CREATE TABLE tracks (id uuid, creator_id uuid, title text, file_path text, PRIMARY KEY (id)) PARTITION BY HASH (id); CREATE TABLE tracks_0 PARTITION OF tracks FOR VALUES WITH (MODULUS 1, REMAINDER 0)", "partitioned", true, "CREATE TABLE plain (LIKE tracks INCLUDING ALL); DROP TABLE tracks; ALTER TABLE plain RENAME TO tracks"},
	{"children", "CREATE TABLE tracks (" + wellFormed + "); CREATE TABLE child () INHERITS (tracks)", "inherited", true, ""},
	{"a view", "CREATE TABLE t (" + wellFormed + "); CREATE VIEW tracks AS SELECT * FROM t", "view", true, "DROP VIEW tracks; ALTER TABLE t RENAME TO tracks"},
	{"another schema", "CREATE SCHEMA media; CREATE TABLE media.tracks (" + wellFormed + ")", "another_table", true, "ALTER TABLE media.tracks SET SCHEMA public"},
	{"another case", `CREATE TABLE "Tracks" (` + wellFormed + ")", "another_table", true, `ALTER TABLE "Tracks" RENAME TO tracks`},
	{"another name", "CREATE TABLE music_song (" + wellFormed + ")", "another_table", true, "ALTER TABLE music_song RENAME TO tracks"},
	{"other tables by our names", "CREATE TABLE tracks (" + wellFormed + "); CREATE TABLE track_uploads (id int)", "name_taken", true, "DROP TABLE track_uploads"},
}

// Each is named, with a mend. Until it is mended nothing answers with a fault of the server's, and afterwards everything works.
func TestEveryWayToBeWrongIsNamedAndMended(t *testing.T) {
	t.Parallel()
	for _, w := range oddTables {
		t.Run(w.name, func(t *testing.T) {
			t.Parallel()
			p := &platform{T: t, bucket: testenv.S3(t), appURL: testenv.EmptyPostgres(t)}
			var err error
			if p.Pool, err = pgxpool.New(t.Context(), p.appURL); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(p.Close)
			p.exec(w.setUp)
			found := p.problems()
			if !slices.ContainsFunc(found, func(f schema.Finding) bool { return f.Kind == w.kind && f.Fix != "" }) {
				t.Fatalf("not named %s: %+v", w.kind, found)
			}
			if w.refused {
				before := p.dump()
				_, err := schema.Up(t.Context(), schema.Database{URL: p.appURL})
				var refusal *schema.Refusal
				if !errors.As(err, &refusal) && w.kind != "event_trigger" || err == nil {
					t.Fatalf("up: %v", err)
				}
				if diff := cmp.Diff(before, p.dump()); refusal != nil && diff != "" {
					t.Errorf("the refusal left a trace: %s", diff)
				}
			} else {
				p.up()
				p.useOf(p.serve(), 499)
			}
			if p.exec(w.mend); w.mend != "" {
				found = p.problems()
			}
			for range 3 { // a mend may bring the next problem to light
				for _, f := range found {
					for _, sql := range strings.Split(f.Fix, ";\n") {
						p.exec(strings.ReplaceAll(sql, "WHERE …", "WHERE true"))
					}
				}
				if found = p.problems(); len(found) == 0 {
					break
				}
			}
			if len(found) > 0 {
				t.Fatalf("after the mend: %+v", found)
			}
			if w.refused {
				p.up()
				if found := p.problems(); len(found) > 0 {
					t.Errorf("after up: %+v", found)
				}
			}
			p.useOf(p.serve(), 299)
		})
	}
}

func (p *platform) problems() []schema.Finding {
	p.Helper()
	found, err := schema.Check(p.Context(), schema.Database{URL: p.appURL}, "")
	if err != nil {
		p.Fatal(err)
	}
	return slices.DeleteFunc(found, func(f schema.Finding) bool { return f.Level != schema.Problem })
}

func (p *platform) up() {
	p.Helper()
	if _, err := schema.Up(p.Context(), schema.Database{URL: p.appURL}); err != nil {
		p.Fatal(err)
	}
}

// useOf uploads, renames, plays and deletes, for a user who may have tracks. No answer has a status above worst.
func (p *platform) useOf(base string, worst int) {
	p.Helper()
	user := p.query("SELECT coalesce((SELECT creator_id::text FROM tracks LIMIT 1), '" + ada + "')")
	content := audiotest.WAV(1, 5)
	expect := func(method, path, body string) (answer map[string]any) {
		p.Helper()
		code, answer := call(p.T, method, base+path, user, body)
		if code > worst {
			p.Errorf("%s %s: %d %v", method, path, code, answer)
		}
		return answer
	}
	var tracks []string
	for _, title := range []string{"A", strings.Repeat("B", 255)} {
		opened := expect("POST", "/v1/uploads", fmt.Sprintf(`{"title":%q,"filename":"x.wav","size":%d}`, title, len(content)))
		if put, ok := opened["put"].(map[string]any); ok {
			p.put(put, content)
			expect("POST", fmt.Sprintf("/v1/uploads/%s/complete", opened["upload_id"]), "")
			tracks = append(tracks, opened["track_id"].(string))
		}
	}
	expect("GET", "/v1/uploads", "")
	for i, id := range tracks {
		expect("GET", "/v1/tracks/"+id, "")
		expect("PATCH", "/v1/tracks/"+id, fmt.Sprintf(`{"title":"C%d"}`, i))
		expect("GET", "/v1/tracks/"+id+"/audio?redirect=0", "")
		expect("DELETE", "/v1/tracks/"+id, "")
	}
}
