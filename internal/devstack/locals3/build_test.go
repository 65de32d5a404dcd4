package locals3_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"trackstore/internal/devstack/locals3"
)

// sourceTree makes a tree like trackstore's, whose versitygw is a small program, and enters it.
func sourceTree(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for name, content := range map[string]string{
		"go.mod":                              "module trackstore\n\ngo 1.26\n",
		"a/b/doc.go":                          "package b\n",
		"tools/go.mod":                        "module trackstore/tools\n\ngo 1.26\n\nrequire github.com/versity/versitygw v1.2.3\n\nreplace github.com/versity/versitygw => ./gateway\n",
		"tools/gateway/go.mod":                "module github.com/versity/versitygw\n\ngo 1.26\n",
		"tools/gateway/cmd/versitygw/main.go": "package main\n\nfunc main() { println(\"built\") }\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(filepath.Join(root, "a", "b"))
	return root
}

// log is a writer for several goroutines.
type log struct {
	mu sync.Mutex
	strings.Builder
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Builder.Write(b)
}

func TestManyWhoNeedTheServerBuildItOnce(t *testing.T) {
	root := sourceTree(t)
	// What a build that was broken off leaves behind.
	bin := filepath.Join(root, ".local", "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(bin, "versitygw-v1.2.3.new"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}

	var l log
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			path, err := locals3.Build(t.Context(), &l)
			if err != nil {
				t.Error(err)
				return
			}
			// It must be whole for everybody who gets to know of it.
			if out, err := exec.Command(path).CombinedOutput(); err != nil || string(out) != "built\n" {
				t.Errorf("run %s: %q, %v", path, out, err)
			}
			if path != filepath.Join(bin, "versitygw-v1.2.3") {
				t.Errorf("built %s", path)
			}
		})
	}
	all.Wait()
	if n := strings.Count(l.String(), "building the S3 server (versitygw v1.2.3)"); n != 1 {
		t.Errorf("built %d times:\n%s", n, l.String())
	}
}

func TestBuildTellsWhatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, root string)
		want  string
	}{
		"no Go":           {func(t *testing.T, _ string) { t.Setenv("PATH", "") }, "needs Go"},
		"not in the tree": {func(t *testing.T, _ string) { t.Chdir(t.TempDir()) }, "source tree"},
		"no pin":          {func(t *testing.T, root string) { remove(t, root, "tools/go.mod") }, "tools/go.mod"},
		"broken source":   {func(t *testing.T, root string) { remove(t, root, "tools/gateway/cmd/versitygw/main.go") }, "go build"},
	} {
		t.Run(name, func(t *testing.T) {
			root := sourceTree(t)
			c.spoil(t, root)
			if path, err := locals3.Build(t.Context(), t.Output()); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %q, %v; want an error with %q", path, err, c.want)
			}
		})
	}
}

func remove(t *testing.T, root, name string) {
	t.Helper()
	if err := os.Remove(filepath.Join(root, name)); err != nil {
		t.Fatal(err)
	}
}
