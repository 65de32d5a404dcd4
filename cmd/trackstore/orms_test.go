package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trackstore/internal/testenv"
)

// Programs of a platform with an ORM (e2e/platforms), which load rows before a flip and save them whole after it, while the
// files move to S3 and back, over and over: no row is flipped by a save, and no play that they counted is lost.
// ORM_ROUNDS=1000 is the long run.
func TestORMsSaveWholeRows(t *testing.T) {
	t.Parallel()
	bin, err := filepath.Abs("../../bin/platforms")
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"diesel":     {filepath.Join(bin, "saves")},
		"gorm":       {filepath.Join(bin, "gorm")},
		"prisma":     {"node", filepath.Join(bin, "prisma/main.js")},
		"sqlalchemy": {filepath.Join(bin, "venv/bin/python"), "../../e2e/platforms/sqlalchemy/main.py"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, noProgram := exec.LookPath(args[0])
			if _, err := os.Stat(args[len(args)-1]); err != nil || noProgram != nil {
				testenv.Skip(t, "make platforms builds the programs")
			}
			p := newPlatform(t, "go")
			p.run(p.owner, 0, "schema up")
			p.exec("UPDATE tracks SET created_at = now() WHERE created_at IS NULL")
			said := p.start(args, "ROUNDS="+cmp.Or(os.Getenv("ORM_ROUNDS"), "40"))
			all := func(backend, when string) {
				t.Helper()
				if n := p.query("SELECT count(*) FROM tracks WHERE storage_backend <> '" + backend + "' OR file_version <> 1"); n != "0" {
					t.Errorf("%s: %s rows are not as the migration left them", when, n)
				}
			}
			flips := 0
			for ended := false; !ended; flips++ {
				select {
				case rounds := <-said:
					ended = true
					said <- rounds
				default:
				}
				all("local", "before a run")
				p.run(p.owner, 0, "migrate-storage run")
				all("s3", "after a run")
				if !ended {
					p.run(p.owner, 0, "migrate-storage rollback")
				}
			}
			rounds := <-said
			if got := p.query("SELECT string_agg(DISTINCT concat_ws(' ', storage_backend, storage_key <> '', play_count), ',') FROM tracks"); got != "s3 t "+rounds {
				t.Errorf("after %s rounds the rows say %s", rounds, got)
			}
			p.run(p.owner, 0, "migrate-storage verify")
			t.Logf("%s rounds, and the files moved to S3 %d times", rounds, flips)
		})
	}
}

// start runs a program of the platform's, and answers with what it said when it ends.
func (p *platform) start(args []string, env ...string) chan string {
	p.Helper()
	program := exec.CommandContext(p.Context(), args[0], args[1:]...)
	program.Env = append(append(os.Environ(), "DATABASE_URL="+p.Config().ConnString()), env...)
	program.Stderr = p.Output()
	said := make(chan string, 1)
	go func() {
		out, err := program.Output()
		if err != nil {
			p.Error(err)
		}
		said <- strings.TrimSpace(string(out))
	}()
	return said
}
