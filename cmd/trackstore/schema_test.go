package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
)

// What the schema commands say of a platform's database, from the first look to the last trace.
func TestSchemaCommands(t *testing.T) {
	t.Parallel()
	url := testenv.EmptyPostgres(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	sql := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	sql(`CREATE SCHEMA media; CREATE TABLE media.tracks (id uuid PRIMARY KEY, creator_id uuid NOT NULL, title text NOT NULL, file_path text,
		genre text NOT NULL, deleted_at timestamptz);
		INSERT INTO media.tracks VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 'x.mp3', 'folk', now() - interval '1 year')`)

	elsewhere := "TRACKS_TABLE=media.tracks"
	for _, step := range []struct {
		name string
		env  string
		args string
		code int
		says []string
	}{
		{"a table elsewhere", "", "schema check", 2, []string{"problem (another_table): media.tracks", "TRACKS_TABLE=media.tracks"}},
		{"it is no silence", "", "schema up", 1, []string{"media.tracks looks like", "--create", "schema check"}},
		{"a name that is none", "TRACKS_TABLE=media.", "schema up", 1, []string{"TRACKS_TABLE=\"media.\" is not a table's name", "rule 2"}},
		{"what would fail", elsewhere, "schema check", 2, []string{"column genre is NOT NULL", "DROP NOT NULL", "1 tracks were deleted before", "media.tracks: 1 problems, 1 notes"}},
		{"as JSON", elsewhere, "schema check --json", 2, []string{`{"event":"finding","level":"problem","kind":"not_null","object":"column genre"`, `{"event":"summary","problems":1,"notes":1}`}},
		{"before it is up", elsewhere, "schema grants --role pg_monitor", 1, []string{"schema up first"}},
		{"up", elsewhere, "schema up", 0, []string{"went from version 0", "1 tracks were deleted before"}},
		{"again", elsewhere, "schema up", 0, []string{"nothing to do"}},
		{"grants", elsewhere, "schema grants --role app", 1, []string{"there is no role app"}},
		{"grants to somebody", elsewhere, "schema grants --role pg_monitor", 0, []string{"-- presign-upload: ", "-- object-created: ", "-- migrate-batch: ", "-- sweep-uploads: ", `ON "media"."tracks" TO "pg_monitor";`}},
		{"configuration", elsewhere, "config check --root testdata", 0, []string{"1 tracks were deleted before", "the environment is valid"}},
		{"configuration of another", "", "config check --root testdata", 0, []string{"looks like a platform's table"}},
		{"down", elsewhere, "schema down --all", 0, []string{"to 0", "these 1 were noted", "  s3 uploads/x"}},
		{"one of its own", "", "schema up --create", 0, []string{"went from version 0", "media.tracks looks like a platform's table of tracks, and is not the one"}},
		{"all of it back", "", "schema down --all", 0, nil},
	} {
		if step.name == "down" {
			sql("INSERT INTO track_discards (track_id, backend, storage_key, reason) VALUES (gen_random_uuid(), 's3', 'uploads/x', 'replaced')")
		}
		env := []string{"DATABASE_URL=" + url, "JWT_SECRET=0123456789abcdef0123456789abcdef", "TRACK_LOCAL_URL=http://127.0.0.1:1", "TRACK_LOCAL_SECRET=0123456789abcdef0123456789abcdef", step.env}
		out, err := command(t, env, strings.Fields(step.args)...).CombinedOutput()
		code := 0
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			code = exit.ExitCode()
		} else if err != nil {
			t.Fatal(err)
		}
		if code != step.code {
			t.Errorf("%s: exit code %d\n%s", step.name, code, out)
		}
		for _, part := range step.says {
			if !strings.Contains(string(out), part) {
				t.Errorf("%s: %q is not in:\n%s", step.name, part, out)
			}
		}
		if strings.HasSuffix(step.args, "--json") {
			for line := range strings.Lines(string(out)) {
				if !json.Valid([]byte(line)) {
					t.Errorf("%s: no JSON: %s", step.name, line)
				}
			}
		}
	}
}
