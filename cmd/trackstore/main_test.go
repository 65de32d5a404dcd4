package main

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"trackstore/internal/testenv"
)

func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) { // see install
	case "trackstore":
		main()
	case "receiver":
		os.Exit(receive(context.Background(), os.Args[1], os.Args[2], os.Getenv, os.Stderr))
	}
	testenv.Main(m)
}

// install makes a folder with links to this test binary by the names trackstore, as which it is the program, and receiver:
// see receive. So what the tests run is a process of its own, and has the race detector where they have it.
func install(t testing.TB) (dir string) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"trackstore", "receiver"} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// command prepares a run of the program with nothing in its environment but what it needs to start, and env.
func command(t testing.TB, env []string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(install(t), "trackstore"), args...)
	for _, name := range []string{"PATH", "HOME", "GOCACHE", "GOPATH", "GOPROXY"} {
		if value, ok := os.LookupEnv(name); ok {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	cmd.Env = append(cmd.Env, env...)
	return cmd
}

func TestScripts(t *testing.T) {
	t.Parallel()
	dir := install(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(filepath.ListSeparator)+env.Getenv("PATH"))
			return nil
		},
	})
}
