package functions_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// make sam-local says all that is missing at once, and what to do about it.
func TestSAMLocalSaysWhatIsMissing(t *testing.T) {
	t.Parallel()
	bin := t.TempDir()
	for _, tool := range []string{"bash", "dirname", "grep", "uname"} {
		path, err := exec.LookPath(tool)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(path, filepath.Join(bin, tool)); err != nil {
			t.Fatal(err)
		}
	}
	state := t.TempDir()
	run := func() string {
		command := exec.Command(filepath.Join(bin, "bash"), "../tools/sam-local")
		command.Env = []string{"PATH=" + bin, "TRACKSTORE_DEV_DIR=" + state}
		out, err := command.CombinedOutput()
		if err == nil {
			t.Fatalf("it started:\n%s", out)
		}
		return string(out)
	}
	if out := run(); !strings.Contains(out, "Docker is not installed") || !strings.Contains(out, "The local stack does not run") {
		t.Errorf("with nothing there:\n%s", out)
	}
	// A stack that containers cannot reach.
	settings := `{"MigrateSchemaFunction": {
  "DATABASE_URL": "postgres://u@127.0.0.1:5432/x"
}}`
	if err := os.WriteFile(filepath.Join(state, "sam-env.json"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	if out := run(); !strings.Contains(out, "make run FLAGS=--containers") {
		t.Errorf("with a stack of this machine alone:\n%s", out)
	}
}
