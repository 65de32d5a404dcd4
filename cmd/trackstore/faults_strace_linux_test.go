package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"trackstore/internal/testenv"
)

// systemCalls are all that read, write, make, name and remove files, and look at them.
var systemCalls = []string{
	"open", "openat", "openat2", "read", "pread64", "write", "pwrite64", "copy_file_range", "fsync", "fdatasync",
	"link", "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "mkdir", "mkdirat", "rmdir",
	"stat", "lstat", "fstat", "newfstatat", "statx", "fstatfs", "faccessat", "faccessat2", "readlink", "readlinkat", "getdents64",
	"ftruncate", "fallocate", "fchmod", "fchown", "flock",
}

// site is a system call at a place below the root: the file that it is done to, or the name that it takes, or the folder of
// that name where the name is another one in every run, as of a temporary file; nothing of a file that is so named.
type site struct{ call, at string }

// fault is what happens to a site: to the nth call of each thread there.
type fault struct {
	site
	error string // errno's name; KILL: the process is killed at it
	nth   int
}

func (f fault) String() string {
	return fmt.Sprintf("%s %s %d %s", f.call, f.at, f.nth, f.error)
}

// tracedRun is what became of a run under strace.
type tracedRun struct {
	code    int // -1: killed
	out     string
	sites   []site // of the calls below the root
	hits    int    // calls below the root that were made to fail
	strays  int    // others
	lastHit site
}

// errnosOf returns what a system call is made to fail with.
func errnosOf(call string) []string {
	all := []string{"EIO", "EACCES", "ESTALE", "ENOSPC", "KILL"}
	switch call {
	case "open", "openat", "openat2":
		return append(all, "ETIMEDOUT", "EMFILE")
	case "read", "pread64", "write", "pwrite64", "copy_file_range", "fsync", "fdatasync":
		return append(all, "ETIMEDOUT")
	}
	return all
}

// needStrace skips a test where processes cannot be traced.
func needStrace(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		testenv.Skip(t, err.Error()+" (package strace)")
	}
	if out, err := exec.Command("strace", "-f", "-o", os.DevNull, "true").CombinedOutput(); err != nil {
		testenv.Skip(t, fmt.Sprintf("nothing can be traced here: %v, %s", err, out))
	}
}

// traced runs a program with a fault; nil: without one.
func (w *world) traced(f *fault, program string, args ...string) (r tracedRun) {
	log := filepath.Join(w.TempDir(), "strace")
	strace := []string{"-f", "-qq", "-y", "-s", "4096", "-e", "signal=none", "-o", log, "-e", "trace=" + strings.Join(systemCalls, ",")}
	if f == nil || f.error != "KILL" { // signals do not come to what seccomp stops
		strace = append(strace, "--seccomp-bpf")
	}
	if f != nil {
		what := "error=" + f.error
		if f.error == "KILL" {
			what = "signal=KILL"
		}
		strace = append(strace, "-e", fmt.Sprintf("inject=%s:%s:when=%d", f.call, what, f.nth))
		if f.at != "" {
			strace = append(strace, "-P", w.here(f.at))
		}
	}
	ctx, cancel := context.WithTimeout(w.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "strace", append(append(strace, filepath.Join(w.programs, program)), args...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + w.TempDir(), "GOMAXPROCS=1"}, w.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	out, err := cmd.CombinedOutput()
	r.code, r.out = cmd.ProcessState.ExitCode(), string(out)
	if ctx.Err() != nil {
		w.Errorf("it does not end: %s", out)
	} else if err != nil && !errors.As(err, new(*exec.ExitError)) {
		w.Fatal(err)
	}
	w.parse(log, f, &r)
	return r
}

var (
	logLine   = regexp.MustCompile(`^(\d+) +(?:<\.\.\. )?(\w+)(?: resumed>|\()(.*)$`)
	descriptr = regexp.MustCompile(`^(?:AT_FDCWD|\d+)<([^>]*)>`)
	named     = regexp.MustCompile(`^(?:(?:AT_FDCWD|\d+)<[^>]*>, )?"([^"]*)"`)
	freshName = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-|[0-9]{5}\.[0-9a-f]{16}\.`) // of ids, and of parts
)

// parse reads the log of strace.
func (w *world) parse(log string, f *fault, r *tracedRun) {
	file, err := os.Open(log)
	if err != nil {
		w.Fatal(err)
	}
	defer file.Close()
	began := map[string]*site{} // by thread: the call that is under way; nil: it is not below the root
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		m := logLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		thread, call, rest := m[1], m[2], m[3]
		if !strings.Contains(lines.Text(), "resumed>") {
			if began[thread] = w.site(call, rest); began[thread] != nil {
				r.sites = append(r.sites, *began[thread])
			}
		}
		isKilled := f != nil && f.error == "KILL" && call == f.call && r.code == -1 && strings.HasSuffix(strings.TrimSpace(rest), "= ?")
		if !strings.HasSuffix(rest, "(INJECTED)") && !isKilled {
			continue
		}
		if began[thread] == nil {
			r.strays++
			continue
		}
		r.hits++
		r.lastHit = *began[thread]
	}
	if lines.Err() != nil {
		w.Fatal(lines.Err())
	}
}

// site returns where a call is done, nil for elsewhere.
func (w *world) site(call, args string) *site {
	var folder, name string
	if m := descriptr.FindStringSubmatch(args); m != nil {
		folder = m[1]
	}
	if m := named.FindStringSubmatch(args); m != nil {
		name = m[1]
	}
	at := folder
	if strings.HasPrefix(name, "/") || folder == "" {
		at = name
	}
	if at != w.root && !strings.HasPrefix(at, w.root+"/") {
		return nil
	}
	// strace compares with names as they are written, and with the paths of what is open.
	if at == folder && strings.HasSuffix(call, "at") && name != "" {
		if name = w.anywhere(name); !freshName.MatchString(name) {
			return &site{call, name}
		}
	}
	if at = w.anywhere(at); freshName.MatchString(at) {
		at = ""
	}
	return &site{call, at}
}

// anywhere puts words for what is another one in each world; here is its inverse.
func (w *world) anywhere(path string) string {
	path = strings.Replace(path, w.root, "{root}", 1)
	for i, id := range w.ids {
		path = strings.ReplaceAll(path, id.String(), fmt.Sprintf("{%d}", i))
	}
	return path
}

func (w *world) here(path string) string {
	path = strings.Replace(path, "{root}", w.root, 1)
	for i, id := range w.ids {
		path = strings.ReplaceAll(path, fmt.Sprintf("{%d}", i), id.String())
	}
	return path
}
