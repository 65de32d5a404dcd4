package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"trackstore/internal/testenv"
)

func readme(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// What the README tells people to type after make run, typed.
func TestReadmeWorksAsItIsWritten(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"bash", "curl", "jq"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, tool+" is not installed")
		}
	}
	_, text, found := strings.Cut(readme(t), "\n## Try it\n")
	blocks := regexp.MustCompile("(?s)```sh\n(.*?)```").FindAllStringSubmatch(text, -1)
	if !found || len(blocks) != 2 {
		t.Fatalf("found %d blocks of commands, want 2: uploading, migrating", len(blocks))
	}
	want := [][]string{
		{`"state":"stored"`, `{"title":"Mine","status":"ready","storage_backend":"s3"}`, `"storage_backend":"local"`, "the same bytes"},
		{"3 tracks with 775 KiB would move to S3", "3 claimed, 3 migrated, 0 missing, 0 failed"},
	}

	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join(install(t), "trackstore"), filepath.Join(dir, "bin", "trackstore")); err != nil {
		t.Fatal(err)
	}
	s := start(t, filepath.Join(dir, ".local"))
	for i, block := range blocks {
		cmd := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", block[1])
		cmd.Dir = dir
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME")}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v:\n%s\nsaid:\n%s", err, block[1], out)
		}
		for _, part := range want[i] {
			if !strings.Contains(string(out), part) {
				t.Errorf("the output lacks %s:\n%s\nsaid:\n%s", part, block[1], out)
			}
		}
	}
	if left := s.query("SELECT count(*)::text FROM tracks WHERE storage_backend = 'local'"); left != "0" {
		t.Errorf("%s tracks are still on disk after migrate-storage run", left)
	}
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

func TestReadmeLinksToWhatIsThere(t *testing.T) {
	t.Parallel()
	for _, link := range regexp.MustCompile(`\]\(([^):]+)\)`).FindAllStringSubmatch(readme(t), -1) {
		if _, err := os.Stat(filepath.Join("../..", link[1])); err != nil {
			t.Error(err)
		}
	}
}
