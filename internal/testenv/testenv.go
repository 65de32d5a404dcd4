// Package testenv gives tests real servers: a Postgres and an S3 server of the test process's own, started when the
// first test asks for them, with a database and a bucket for each test.
//
// A package whose tests use it has
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
package testenv

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// env is what the tests of this process share.
var env struct {
	mu       sync.Mutex
	running  bool     // Main is at work
	dir      string   // holds everything the servers write; empty: none was needed yet
	lock     *os.File // on dir; without a reference it would be closed
	stoppers []func(context.Context) error
}

// Main runs the tests, stops the servers that they started, removes all that these wrote, and exits.
func Main(m *testing.M) {
	env.running = true
	code := m.Run()
	if err := cleanUp(); err != nil {
		fmt.Fprintln(os.Stderr, "testenv:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func cleanUp() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var err error
	for _, stop := range env.stoppers {
		err = errors.Join(err, stop(ctx))
	}
	if env.dir != "" {
		err = errors.Join(err, os.RemoveAll(env.dir))
	}
	return err
}

// Skip skips a test that this machine cannot run. Where CI is set in the environment, that fails the test: there,
// everything has to run.
func Skip(t testing.TB, why string) {
	t.Helper()
	if os.Getenv("CI") != "" {
		t.Fatal("skipped in CI:", why)
	}
	t.Skip(why)
}

// server is one that is started by the first test that needs it.
type server[T any] struct {
	start func(ctx context.Context, dir string) (_ T, stop func(context.Context) error, _ error)

	once  sync.Once
	value T
	err   error
}

// get returns the server, started. A test that cannot get it fails.
func (s *server[T]) get(t testing.TB) T {
	t.Helper()
	s.once.Do(func() {
		var dir string
		if dir, s.err = sharedDir(); s.err != nil {
			return
		}
		// Not the test's context: the server outlives the test that started it.
		var stop func(context.Context) error
		if s.value, stop, s.err = s.start(context.Background(), dir); s.err != nil {
			return
		}
		env.mu.Lock()
		defer env.mu.Unlock()
		env.stoppers = append(env.stoppers, stop)
	})
	if s.err != nil {
		t.Fatal("testenv:", s.err)
	}
	return s.value
}

// sharedDir returns the folder for the servers of this process.
func sharedDir() (_ string, err error) {
	env.mu.Lock()
	defer env.mu.Unlock()
	if !env.running {
		return "", errors.New("this package needs func TestMain(m *testing.M) { testenv.Main(m) }")
	}
	if env.dir == "" {
		env.dir, env.lock, err = workDir()
	}
	return env.dir, err
}

const (
	dirPrefix = "trackstore-test-"
	lockFile  = "lock"
	// roomNeeded is what must be free in a folder in memory for it to be used, in bytes.
	roomNeeded = 2 << 30
)

// workDir makes a folder for this process, in memory where there is room, and removes those of processes that were
// killed before they could. It stays locked until the lock is closed, with the end of the process.
func workDir() (dir string, locked *os.File, err error) {
	parent := os.TempDir()
	var fs syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &fs); err == nil && fs.Bavail*uint64(fs.Bsize) >= roomNeeded {
		parent = "/dev/shm"
	}
	removeAbandoned(parent)

	if dir, err = os.MkdirTemp(parent, dirPrefix); err != nil {
		return "", nil, err
	}
	if locked, err = lock(dir); err != nil {
		return "", nil, err
	}
	return dir, locked, os.Chmod(dir, 0o755) // root's Postgres runs as another user
}

func removeAbandoned(parent string) {
	entries, err := os.ReadDir(parent)
	if err != nil {
		return // then making a folder there fails, and says why
	}
	for _, entry := range entries {
		info, err := entry.Info()
		// A new folder may not be locked yet.
		if err != nil || !strings.HasPrefix(entry.Name(), dirPrefix) || time.Since(info.ModTime()) < time.Minute {
			continue
		}
		dir := filepath.Join(parent, entry.Name())
		if file, err := lock(dir); err == nil {
			_ = os.RemoveAll(dir) // if not now, the next process does it
			_ = file.Close()
		}
	}
}

// lock locks a folder until the process ends or the file is closed. It fails at once when another process has it.
func lock(dir string) (*os.File, error) {
	file, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = file.Close()
		return nil, err
	}
	return file, nil
}
