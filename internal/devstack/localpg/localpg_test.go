package localpg_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/internal/devstack/localpg"
)

// asProgram, set in the environment, makes the test binary a program that runs a server on the folder it names until
// its standard input ends.
const asProgram = "LOCALPG_TEST_DIR"

func TestMain(m *testing.M) {
	dir := os.Getenv(asProgram)
	if dir == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	s, err := localpg.Start(ctx, localpg.Config{DataDir: dir, Log: os.Stderr})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(s.URL("postgres"))
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// start starts a server that is stopped when the test ends.
func start(t *testing.T, cfg localpg.Config) *localpg.Server {
	t.Helper()
	cfg.Log = t.Output()
	s, err := localpg.Start(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop(t, s)
		// It may lie outside of the test's folder.
		if err := os.RemoveAll(s.DataDir()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func stop(t *testing.T, s *localpg.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := s.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// startProgram starts a server in another process, as the caller or as another user, and returns the server's URL.
func startProgram(t *testing.T, dir string, as *syscall.Credential) (*exec.Cmd, string) {
	t.Helper()
	// Another user cannot enter the go tool's folder.
	binary := filepath.Join(openDir(t), "program")
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(self)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(binary, b, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(binary)
	cmd.Dir = "/"
	cmd.Env = []string{asProgram + "=" + dir, "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	cmd.Stderr = t.Output()
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal("the program ended:", err)
	}
	return cmd, strings.TrimSpace(url)
}

// openDir is a folder that every user may enter.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "localpg-") //nolint:usetesting // t.TempDir is closed to other users
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func run(t *testing.T, url, sql string) {
	t.Helper()
	if _, err := connect(t, url).Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

func query(t *testing.T, url, sql string) (value string) {
	t.Helper()
	if err := connect(t, url).QueryRow(t.Context(), sql).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// ended waits until nobody listens at url any more.
func ended(t *testing.T, url string) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		conn, err := pgx.Connect(t.Context(), url)
		if errors.Is(err, syscall.ECONNREFUSED) {
			return
		}
		if err == nil {
			conn.Close(t.Context())
		}
		if time.Now().After(deadline) {
			t.Fatal("the server goes on")
		}
	}
}

func TestDataIsKeptFromRunToRun(t *testing.T) {
	t.Parallel()
	cfg := localpg.Config{DataDir: filepath.Join(openDir(t), "state", "postgres"), Durable: true}
	s := start(t, cfg)
	for range 2 { // the second time it is there
		if err := s.CreateDatabase(t.Context(), `music "live"`); err != nil {
			t.Fatal(err)
		}
	}
	url := s.URL("postgres")
	run(t, url, "CREATE TABLE kept AS SELECT 'yes' AS value")
	if got := query(t, url, "SHOW fsync"); got != "on" {
		t.Errorf("durable, and fsync is %s", got)
	}
	stop(t, s)
	ended(t, url)

	again := start(t, cfg)
	if got := query(t, again.URL("postgres"), "SELECT value FROM kept"); got != "yes" {
		t.Errorf("read %q", got)
	}
	if again.DataDir() != cfg.DataDir {
		t.Errorf("the data lie in %s", again.DataDir())
	}
}

func TestOnlyThePasswordOpens(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Config{DataDir: filepath.Join(openDir(t), "postgres"), Copy: true})
	cfg, err := pgx.ParseConfig(s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(s.DataDir())
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o700 {
		t.Errorf("the data directory has mode %o", mode)
	}
	cfg.Password = "guess"
	_, err = pgx.ConnectConfig(t.Context(), cfg)
	const invalidPassword = "28P01"
	if pgErr := new(pgconn.PgError); !errors.As(err, &pgErr) || pgErr.Code != invalidPassword {
		t.Errorf("a wrong password: %v", err)
	}
}

func TestItListensElsewhereOnlyWhenAskedTo(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux has more than one loopback address by itself")
	}
	other := netip.MustParseAddr("127.0.0.2")
	for listen, reachable := range map[string]bool{"": false, "127.0.0.2": true, "0.0.0.0": true} {
		s := start(t, localpg.Config{DataDir: filepath.Join(openDir(t), "postgres"), Copy: true, Listen: listen})
		query(t, s.URL("postgres"), "SELECT 'here'")
		cfg, err := pgx.ParseConfig(s.URL("postgres"))
		if err != nil {
			t.Fatal(err)
		}
		// From another address, too.
		dialer := net.Dialer{LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(other, 0))}
		cfg.Host, cfg.DialFunc = other.String(), dialer.DialContext
		conn, err := pgx.ConnectConfig(t.Context(), cfg)
		if err == nil {
			conn.Close(t.Context())
		}
		if (err == nil) != reachable {
			t.Errorf("listening on %q: reached from elsewhere: %v", listen, err)
		}
	}
}

func TestAKilledServerIsRecovered(t *testing.T) {
	t.Parallel()
	cfg := localpg.Config{DataDir: filepath.Join(openDir(t), "postgres"), Copy: true}
	s := start(t, cfg)
	run(t, s.URL("postgres"), "CREATE TABLE kept AS SELECT 'yes' AS value")
	if err := syscall.Kill(postmaster(t, s.DataDir()), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-s.Exited()
	// Stopping what is gone already is nothing to complain about.
	stop(t, s)

	// Somebody else has the process id by now.
	file := filepath.Join(s.DataDir(), "postmaster.pid")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n")
	if err := os.WriteFile(file, fmt.Appendf(nil, "%d\n%s", os.Getpid(), rest), 0o600); err != nil {
		t.Fatal(err)
	}
	again := start(t, cfg)
	if got := query(t, again.URL("postgres"), "SELECT value FROM kept"); got != "yes" {
		t.Errorf("read %q", got)
	}
}

func postmaster(t *testing.T, dir string) int {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func TestAServerEndsWithItsParent(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "postgres")
	parent, url := startProgram(t, dir, nil)
	run(t, url, "CREATE TABLE kept AS SELECT 'yes' AS value")
	if err := parent.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	// At once: the old server may still be at its last checkpoint.
	again := start(t, localpg.Config{DataDir: dir})
	if got := query(t, again.URL("postgres"), "SELECT value FROM kept"); got != "yes" {
		t.Errorf("read %q", got)
	}
	ended(t, url)
}

func TestARunningServersDataAreNotTouched(t *testing.T) {
	t.Parallel()
	cfg := localpg.Config{DataDir: filepath.Join(openDir(t), "postgres"), Copy: true}
	s := start(t, cfg)
	if _, err := localpg.Start(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "already runs") {
		t.Errorf("a second start: %v", err)
	}
	query(t, s.URL("postgres"), "SELECT 'still here'")
}

func TestATakenPortIsAnError(t *testing.T) {
	t.Parallel()
	s := start(t, localpg.Config{DataDir: filepath.Join(openDir(t), "postgres"), Copy: true})
	cfg, err := pgx.ParseConfig(s.URL("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(openDir(t), "postgres")
	_, err = localpg.Start(t.Context(), localpg.Config{DataDir: dir, Copy: true, Port: int(cfg.Port)})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("127.0.0.1:%d", cfg.Port)) {
		t.Errorf("got %v", err)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	file := filepath.Join(dir, "thesis.txt")
	if err := os.WriteFile(file, []byte("years of work"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := localpg.Start(t.Context(), localpg.Config{DataDir: dir}); err == nil || !strings.Contains(err.Error(), "neither empty nor a data directory") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}

func TestAnAbandonedCreationIsNoObstacle(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(openDir(t), "postgres")
	if err := os.MkdirAll(filepath.Join(dir+".new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	start(t, localpg.Config{DataDir: dir, Copy: true})
	if _, err := os.Stat(dir + ".new"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}

func TestAnEndedContextEndsTheStart(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := filepath.Join(openDir(t), "postgres")
	if _, err := localpg.Start(ctx, localpg.Config{DataDir: dir, Copy: true}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	start(t, localpg.Config{DataDir: dir, Copy: true})
}

func asRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root can be another user")
	}
}

func TestAsAnOrdinaryUser(t *testing.T) {
	t.Parallel()
	asRoot(t)
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	// A home that nobody else may enter.
	home := filepath.Join(openDir(t), "home")
	if err := errors.Join(os.Mkdir(home, 0o700), os.Chown(home, uid, gid)); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(home, "project", ".local", "postgres")
	program, url := startProgram(t, dir, &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)})
	run(t, url, "CREATE TABLE kept AS SELECT 'yes' AS value")
	if err := program.Process.Kill(); err != nil {
		t.Fatal(err)
	}

	// Root finds it, and runs it as its owner.
	s := start(t, localpg.Config{DataDir: dir})
	if got := query(t, s.URL("postgres"), "SELECT value FROM kept"); got != "yes" {
		t.Errorf("read %q", got)
	}
	if s.DataDir() != dir {
		t.Errorf("the data lie in %s", s.DataDir())
	}
}

func TestBelowAFolderThatOthersMayNotEnter(t *testing.T) {
	t.Parallel()
	asRoot(t)
	home := filepath.Join(openDir(t), "home")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	cfg := localpg.Config{DataDir: filepath.Join(home, "project", ".local", "postgres"), Copy: true}
	s := start(t, cfg)
	run(t, s.URL("postgres"), "CREATE TABLE kept AS SELECT 'yes' AS value")
	stop(t, s)
	if link, err := os.Readlink(cfg.DataDir); err != nil || link != s.DataDir() {
		t.Errorf("%s leads to %s, %v; the data lie in %s", cfg.DataDir, link, err, s.DataDir())
	}

	again := start(t, cfg)
	if got := query(t, again.URL("postgres"), "SELECT value FROM kept"); got != "yes" {
		t.Errorf("read %q", got)
	}
	stop(t, again)

	// Whoever removes the state has removed the data.
	if err := os.RemoveAll(filepath.Join(home, "project", ".local")); err != nil {
		t.Fatal(err)
	}
	fresh := start(t, cfg)
	if got := query(t, fresh.URL("postgres"), "SELECT coalesce(to_regclass('kept')::text, 'none')"); got != "none" {
		t.Error("the data came back from the dead")
	}
	if _, err := os.Stat(s.DataDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the old data still take up room: %v", err)
	}
}
