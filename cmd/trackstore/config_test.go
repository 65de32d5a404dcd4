package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestConfigCheck(t *testing.T) {
	t.Parallel()
	const key32 = "0123456789abcdef0123456789abcdef"
	sound := map[string]string{
		"APP_ENV": "production", "DATABASE_URL": "postgres://app:hunter2@127.0.0.1/platform", "JWT_SECRET": key32,
		"TRACK_STORAGE_BACKEND": "s3", "AWS_S3_ENABLED": "true", "AWS_S3_BUCKET": "tracks", "AWS_REGION": "eu-central-1",
	}
	for _, test := range []struct {
		name     string
		set      map[string]string
		args     []string
		code     int
		out, err []string // parts of what is printed
	}{
		{name: "sound", code: 0, out: []string{"the environment is valid, and nothing disagrees"}},
		{
			name: "several faults", code: 1,
			set: map[string]string{"TRACK_STORAGE_BACKEND": "S3", "JWT_SECRET": "short", "MIGRATE_LEASE": "soon"},
			out: []string{`problem: TRACK_STORAGE_BACKEND="S3"`, "(rule 11)", "problem: JWT_SECRET has 5 bytes", `problem: MIGRATE_LEASE="soon"`},
		},
		{
			name: "warnings alone", code: 0,
			set: map[string]string{"APP_ENV": "development", "TRACK_STORAGE_BACKEND": "S3"},
			out: []string{`warning: TRACK_STORAGE_BACKEND="S3"`, "the environment is valid"},
		},
		{name: "one program", code: 0, args: []string{"--program", "object-created"}, set: map[string]string{"JWT_SECRET": ""}, out: []string{"the environment is valid"}},
		{name: "all programs", code: 1, set: map[string]string{"JWT_SECRET": ""}, out: []string{"problem: JWT_SECRET is not set"}},
		{name: "unknown program", code: 1, args: []string{"--program", "resize"}, err: []string{`no program "resize"`, "presign-upload"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			getenv := func(name string) string {
				if value, ok := test.set[name]; ok {
					return value
				}
				return sound[name]
			}
			var stdout, stderr strings.Builder
			args := append([]string{"config", "check", "--root", "../.."}, test.args...)
			if code := run(t.Context(), args, getenv, &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d\n%s%s", code, stdout.String(), stderr.String())
			}
			for _, part := range test.out {
				if strings.Count(stdout.String(), part) != 1 {
					t.Errorf("%q is not printed once in:\n%s", part, stdout.String())
				}
			}
			for _, part := range test.err {
				if !strings.Contains(stderr.String(), part) {
					t.Errorf("%q is not in:\n%s", part, stderr.String())
				}
			}
			if strings.Contains(stdout.String()+stderr.String(), "hunter2") {
				t.Error("a password is printed")
			}
		})
	}
}

func TestConfigCheckFindsDrift(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module trackstore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	getenv := func(name string) string {
		return map[string]string{"DATABASE_URL": "postgres:///x", "JWT_SECRET": "secret"}[name]
	}
	var stdout, stderr strings.Builder
	if code := run(t.Context(), []string{"config", "check", "--root", dir}, getenv, &stdout, &stderr); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if out := stdout.String(); !strings.Contains(out, "drift: docs/ENV_VARIABLES.md: is missing") || !strings.Contains(out, "drift: .env.template: is missing") {
		t.Errorf("printed:\n%s%s", out, stderr.String())
	}
}
