package locals3

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/lockedfile"
)

const gateway = "github.com/versity/versitygw"

// Build builds versitygw from the version pinned in tools/go.mod, once: a later call, also of another process, finds
// the binary in .local/bin of the source tree. The first build takes minutes, and tells log so. The working directory
// or the program must lie within trackstore's source tree.
func Build(ctx context.Context, log io.Writer) (string, error) {
	root, err := sourceRoot()
	if err != nil {
		return "", fmt.Errorf("build the S3 server: %w", err)
	}
	path, err := build(ctx, root, log)
	if err != nil {
		return "", fmt.Errorf("build the S3 server (%s): %w", gateway, err)
	}
	return path, nil
}

func build(ctx context.Context, root string, log io.Writer) (string, error) {
	version, err := pinnedVersion(root)
	if err != nil {
		return "", err
	}
	bin := filepath.Join(root, ".local", "bin")
	path := filepath.Join(bin, "versitygw-"+version)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return "", err
	}
	unlock, err := lockedfile.MutexAt(path + ".lock").Lock()
	if err != nil {
		return "", err
	}
	defer unlock()
	if _, err := os.Stat(path); err == nil {
		return path, nil // built by somebody else while we waited
	}
	goTool, err := exec.LookPath("go")
	if err != nil {
		return "", fmt.Errorf("it is built from source at its first use, which needs Go: %w", err)
	}

	started := time.Now()
	say(log, "building the S3 server (versitygw %s): only once, but it takes 2 to 6 minutes", version)
	stop := every(20*time.Second, func() {
		say(log, "still building the S3 server (%s)", time.Since(started).Round(time.Second))
	})
	defer stop()

	// Built beside its place and moved there, so that a build that is broken off leaves nothing that looks finished.
	unfinished := path + ".new"
	if err := os.RemoveAll(unfinished); err != nil { // go build does not overwrite what is no program
		return "", err
	}
	cmd := exec.CommandContext(ctx, goTool, "build", "-C", filepath.Join(root, "tools"), "-o", unfinished, gateway+"/cmd/versitygw")
	cmd.Env = append(os.Environ(), "GOOS=", "GOARCH=", "GOWORK=off", "GOFLAGS=-mod=readonly -buildvcs=false") // for this machine, whatever is built besides
	// An interrupt to all of its processes, so that none goes on building and the go tool removes what it left behind.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 5 * time.Second
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	say(log, "built the S3 server in %s", time.Since(started).Round(time.Second))
	return path, nil
}

// sourceRoot finds the folder of trackstore's go.mod, from the working directory upwards, else from the program's.
func sourceRoot() (string, error) {
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	program, err := os.Executable()
	if err != nil {
		return "", err
	}
	for _, start := range []string{wd, filepath.Dir(program)} {
		for dir := start; ; dir = filepath.Dir(dir) {
			b, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err == nil && strings.HasPrefix(string(b), "module trackstore\n") {
				return dir, nil
			}
			if dir == filepath.Dir(dir) {
				break
			}
		}
	}
	return "", fmt.Errorf("neither %s nor the program is within trackstore's source tree, which says how", wd)
}

var pin = regexp.MustCompile(`(?m)^(?:require)?\s*` + regexp.QuoteMeta(gateway) + ` (v\S+)`)

func pinnedVersion(root string) (string, error) {
	b, err := os.ReadFile(filepath.Join(root, "tools", "go.mod"))
	if err != nil {
		return "", err
	}
	match := pin.FindSubmatch(b)
	if match == nil {
		return "", errors.New("tools/go.mod does not require it")
	}
	return string(match[1]), nil
}

func say(log io.Writer, format string, args ...any) {
	fmt.Fprintf(log, format+"\n", args...)
}

// every calls do again and again until stop is called.
func every(interval time.Duration, do func()) (stop func()) {
	ticker := time.NewTicker(interval)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-done:
				return
			case <-ticker.C:
				do()
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(done)
	}
}
