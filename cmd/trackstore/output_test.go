package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
)

// A command whose output cannot be written says so, and is no success: all that docs/cli.md has, in either form.
func TestOutputOnAFullDisk(t *testing.T) {
	t.Parallel()
	const full = "/dev/full"
	if _, err := os.Stat(full); err != nil {
		testenv.Skip(t, err.Error())
	}
	stdout, err := os.OpenFile(full, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer stdout.Close()
	dir := t.TempDir()
	m := newMoves(t, 3).with("EVENTS_MOVED", "true")
	m.exits(0, "", "migrate-storage", "run", "--limit", "2")
	local := []string{"TRACK_STORAGE_BACKEND=local"}
	stack := start(t, filepath.Join(dir, "running"), local...)
	song := filepath.Join(dir, "song.wav")
	if err := os.WriteFile(song, audiotest.WAV(1, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := []string{"DATABASE_URL=" + testenv.EmptyPostgres(t)}
	with := map[string]struct {
		args []string
		env  []string // m's, where it is nil
	}{
		"dev":             {env: append(local, "TRACKSTORE_DEV_DIR="+filepath.Join(dir, "full"), fmt.Sprint("PORT=", freePort(t)))},
		"schema up":       {env: empty},
		"schema down":     {env: empty},
		"schema grants":   {args: []string{"--role", "trackstore"}},
		"schema check":    {},
		"schema version":  {},
		"version":         {env: []string{}},
		"config check":    {},
		"sweep":           {},
		"upload":          {args: []string{"--again", song}, env: []string{"TRACKSTORE_URL=" + stack.env["TRACKSTORE_URL"], "TRACKSTORE_TOKEN=" + stack.env["TRACKSTORE_TOKEN"]}},
		"events status":   {},
		"events tail":     {},
		"events retry":    {},
		"events deliver":  {env: append(slices.Clone(m.env), "EVENTS_WEBHOOK_URL="+stack.env["TRACKSTORE_URL"], "EVENTS_WEBHOOK_SECRET=whsec_"+strings.Repeat("QUJD", 8))},
		"migrate-storage": {},
	}
	for _, leaf := range leaves(t) {
		path := strings.TrimPrefix(leaf.FullPath(), "trackstore ")
		how, found := with[path]
		if !found && strings.HasPrefix(path, "migrate-storage ") {
			how, found = with["migrate-storage"], true
		}
		if path == "migrate-storage purge-local" {
			how.args = []string{"--yes", "--grace", "0s"}
		}
		if !found {
			t.Errorf("%s is not tried", path)
			continue
		}
		if how.env == nil {
			how.env = m.env
		}
		forms := [][]string{how.args}
		if slices.ContainsFunc(leaf.Flags, func(f *kong.Flag) bool { return f.Name == "json" }) {
			forms = append(forms, append([]string{"--json"}, how.args...))
		}
		for _, form := range forms {
			cmd := command(t, how.env, append(strings.Fields(path), form...)...)
			var said bytes.Buffer
			cmd.Stdout, cmd.Stderr = stdout, &said
			err := cmd.Run()
			if err == nil || !strings.Contains(said.String(), "cannot write to standard output") {
				t.Errorf("%s %q: %v, %s", path, form, err, said.String())
			}
		}
	}
	m.unmarked("runs whose output was lost")
	m.exits(0, "", "migrate-storage", "run")
	m.exits(0, "", "migrate-storage", "audit")
}

// leaves are all commands that do something.
func leaves(t *testing.T) []*kong.Node {
	t.Helper()
	parser, err := kong.New(&commands{}, kong.Name("trackstore"), kong.Vars{"version": ""}, kong.Exit(func(int) {}))
	if err != nil {
		t.Fatal(err)
	}
	return parser.Model.Leaves(true)
}

// Who could not look says nothing of what there is: no summary, and no number of findings.
func TestNoSummaryOfWhatCouldNotBeLookedAt(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 3)
	m.exits(0, "", "migrate-storage", "run")
	for name, away := range map[string]moves{
		"no S3":       m.with("AWS_S3_ENDPOINT", fmt.Sprint("http://127.0.0.1:", freePort(t))),
		"no database": m.with("DATABASE_URL", fmt.Sprintf("postgres://x@127.0.0.1:%d/x", freePort(t))),
	} {
		for _, args := range [][]string{{"run"}, {"rollback"}, {"verify"}, {"audit"}, {"repair"}, {"purge-local", "--yes", "--grace", "0s"}} {
			for _, form := range [][]string{args, append(slices.Clone(args), "--json")} {
				cmd := command(t, away.env, append([]string{"migrate-storage"}, form...)...)
				out, err := cmd.Output()
				if exit := new(exec.ExitError); !errors.As(err, &exit) || exit.ExitCode() != 1 || bytes.Contains(out, []byte("finding")) || bytes.Contains(out, []byte("summary")) {
					t.Errorf("%s, %q: %v, %s", name, form, err, out)
				}
			}
		}
	}
	m.unmarked("nothing was in reach")
}
