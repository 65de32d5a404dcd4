package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"trackstore/internal/testenv"
)

// Programs of a platform with an ORM (e2e/platforms), which load rows before a flip and save them whole after it, beside a
// migration and a rollback: no row is flipped back, and no play that they counted is lost.
func TestORMsSaveWholeRows(t *testing.T) {
	t.Parallel()
	bin, err := filepath.Abs("../../bin/platforms")
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{
		"gorm":       {filepath.Join(bin, "gorm")},
		"sqlalchemy": {filepath.Join(bin, "venv/bin/python"), "../../e2e/platforms/sqlalchemy/main.py"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := os.Stat(args[0]); err != nil {
				testenv.Skip(t, "make platforms builds the programs")
			}
			p := newPlatform(t, "go")
			p.run(p.owner, 0, "schema up")
			p.exec("UPDATE tracks SET created_at = now() WHERE created_at IS NULL")
			start := func() func() string {
				program := exec.CommandContext(t.Context(), args[0], args[1:]...)
				program.Env = append(os.Environ(), "DATABASE_URL="+p.Config().ConnString(), "ROUNDS=60")
				var out strings.Builder
				program.Stdout, program.Stderr = &out, t.Output()
				if err := program.Start(); err != nil {
					t.Fatal(err)
				}
				return func() string {
					if err := program.Wait(); err != nil {
						t.Error(err)
					}
					return strings.TrimSpace(out.String())
				}
			}
			rounds := start()
			p.run(p.owner, 0, "migrate-storage run")
			if n, got := rounds(), p.query("SELECT string_agg(DISTINCT concat_ws(' ', storage_backend, storage_key <> '', play_count, file_version), ',') FROM tracks"); got != "s3 t "+n+" 1" {
				t.Errorf("after %s rounds the rows say %s", n, got)
			}
			p.run(p.owner, 0, "migrate-storage verify")
			p.exec("UPDATE tracks SET play_count = 0")
			rounds = start() // with nothing on disk, for its 60 rounds
			p.run(p.owner, 0, "migrate-storage rollback")
			if n, got := rounds(), p.query("SELECT string_agg(DISTINCT concat_ws(' ', storage_backend, storage_key <> '', play_count, file_version), ',') FROM tracks"); got != "local "+n+" 1" {
				t.Errorf("after %s rounds the rows say %s", n, got)
			}
		})
	}
}
