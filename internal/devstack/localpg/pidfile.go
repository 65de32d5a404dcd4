package localpg

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// pidFile is what postmaster.pid in a data directory says.
type pidFile struct {
	pid   int
	ready bool // the server takes connections
}

func pidPath(dir string) string { return filepath.Join(dir, "postmaster.pid") }

func readPIDFile(dir string) (pidFile, error) {
	b, err := os.ReadFile(pidPath(dir))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, err
	}
	const statusLine = 7
	return pidFile{pid, len(lines) > statusLine && strings.TrimSpace(lines[statusLine]) == "ready"}, nil
}

// clearStalePID makes way for a start in dir. A server there whose parent died is about to end: it gets time for that.
// A file that a killed server left behind is removed here and not left to Postgres, which takes it for a running server
// when some other process bears that process id by now, as happens in restarted containers.
func clearStalePID(ctx context.Context, dir string) error {
	const patience = 2 * time.Second // until a server that goes on taking connections is held to be here to stay
	for deadline := time.Now().Add(patience); ; {
		user, err := userOf(dir)
		if err != nil {
			return nil // not Linux: Postgres must find out by itself
		}
		if user == 0 {
			// Nobody is left, neither the server nor a process of it, which is why the file may go.
			if err := os.Remove(pidPath(dir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return nil
		}
		if lock, err := readPIDFile(dir); err == nil && !lock.ready {
			deadline = time.Now().Add(patience)
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a server (process %d) already runs on this data", user)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// userOf returns the id of a process that works in dir, as a server and all its processes do, or 0 where there is none.
func userOf(dir string) (int, error) {
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return 0, err
	}
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	if err != nil {
		return 0, err
	}
	for _, link := range links {
		// Processes that come and go, and those of other users, cannot be read; a server on dir can.
		if cwd, err := os.Readlink(link); err == nil && cwd == dir {
			return strconv.Atoi(filepath.Base(filepath.Dir(link)))
		}
	}
	return 0, nil
}
