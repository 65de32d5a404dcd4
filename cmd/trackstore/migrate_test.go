package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"

	"trackstore/internal/testenv"
)

// Each script has a database, a bucket, and its folder disk as the root of the files.
func TestMigrateScripts(t *testing.T) {
	t.Parallel()
	dir := install(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/migrate",
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", dir+string(filepath.ListSeparator)+env.Getenv("PATH"))
			for _, v := range migrateEnv(t, filepath.Join(env.WorkDir, "disk")) {
				name, value, _ := strings.Cut(v, "=")
				env.Setenv(name, value)
			}
			return rest(filepath.Join(env.WorkDir, "disk"))
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"sql":   scriptSQL,
			"track": scriptTrack,
			"jsons": scriptJSONs,
			"exits": scriptExits,
		},
	})
}

// migrateEnv is the environment of migrate-storage: a database and a bucket of its own.
func migrateEnv(t testing.TB, root string) []string {
	bucket := testenv.S3(t)
	return []string{
		"DATABASE_URL=" + testenv.Postgres(t), "TRACK_LOCAL_DIR=" + root, "TRACK_STORAGE_BACKEND=s3", "AWS_S3_ENABLED=true",
		"AWS_S3_BUCKET=" + bucket.Name, "AWS_REGION=" + bucket.Region, "AWS_S3_ENDPOINT=" + bucket.Endpoint, "AWS_S3_FORCE_PATH_STYLE=true",
		"AWS_ACCESS_KEY_ID=" + bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + bucket.SecretKey, "MIGRATE_LEASE=2s", "LOG_LEVEL=warn",
	}
}

// rest makes the files in a folder ones that were not changed a moment ago.
func rest(dir string) error {
	old := time.Now().Add(-time.Hour)
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		return os.Chtimes(path, old, old)
	})
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// scriptSQL is: sql STATEMENT [ANSWER], where the answer is the first column of the first row, as text.
func scriptSQL(ts *testscript.TestScript, _ bool, args []string) {
	conn, err := pgx.Connect(context.Background(), ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(context.Background())
	if len(args) == 1 {
		_, err := conn.Exec(context.Background(), args[0])
		ts.Check(err)
		return
	}
	var got *string
	ts.Check(conn.QueryRow(context.Background(), args[0]).Scan(&got))
	if got == nil || *got != args[1] {
		ts.Fatalf("%s: got %s, want %q", args[0], text(got), args[1])
	}
}

func text(s *string) string {
	if s == nil {
		return "NULL"
	}
	return fmt.Sprintf("%q", *s)
}

// scriptTrack is: track N PATH, and makes a local track whose id ends with N.
func scriptTrack(ts *testscript.TestScript, _ bool, args []string) {
	id := fmt.Sprintf("00000000-0000-4000-8000-%012s", args[0])
	ts.Setenv("T"+args[0], id)
	conn, err := pgx.Connect(context.Background(), ts.Getenv("DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(context.Background())
	_, err = conn.Exec(context.Background(), `INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1::text::uuid, gen_random_uuid(), 'x', $2)`, id, args[1])
	ts.Check(err)
}

// scriptExits is: exits CODE PROGRAM ARG…
func scriptExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}

// scriptJSONs checks that every line of what the last program wrote is a JSON object with
// the fields that are named, in that order and no other: jsons EVENT FIELD… An EVENT of -
// is for lines without an event.
func scriptJSONs(ts *testscript.TestScript, _ bool, args []string) {
	lines := bufio.NewScanner(strings.NewReader(ts.ReadFile("stdout")))
	found := 0
	for lines.Scan() {
		var event struct {
			Event string `json:"event"`
		}
		ts.Check(json.Unmarshal(lines.Bytes(), &event))
		if event.Event != strings.Trim(args[0], "-") {
			continue
		}
		found++
		if got, want := fields(ts, lines.Bytes()), strings.Join(args[1:], " "); got != want {
			ts.Fatalf("the fields are %s, not %s, of %s", got, want, lines.Text())
		}
	}
	if found == 0 {
		ts.Fatalf("no line of event %s", args[0])
	}
}

func fields(ts *testscript.TestScript, object []byte) string {
	decoder := json.NewDecoder(bytes.NewReader(object))
	var names []string
	_, err := decoder.Token()
	ts.Check(err)
	for decoder.More() {
		name, err := decoder.Token()
		ts.Check(err)
		names = append(names, name.(string))
		var value json.RawMessage
		ts.Check(decoder.Decode(&value))
	}
	return strings.Join(names, " ")
}

// An interrupt ends a run within ten seconds with exit code 3 and no lease left; another
// process then has the rest at once.
func TestInterrupt(t *testing.T) {
	t.Parallel()
	const tracks = 40
	env, count := manyTracks(t, tracks)
	moved := func() int { return count(`SELECT count(*) FROM tracks WHERE storage_backend = 's3'`) }

	// At this bandwidth it takes more than ten seconds.
	slow := command(t, env, "migrate-storage", "run", "--bandwidth", "200KiB", "--workers", "2")
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "something is moved", func() bool { return moved() > 0 })
	stopped := time.Now()
	_ = slow.Process.Signal(syscall.SIGINT)
	_ = slow.Wait()
	if took := time.Since(stopped); took > 10*time.Second {
		t.Errorf("it went on for %s", took)
	}
	if code := slow.ProcessState.ExitCode(); code != 3 {
		t.Errorf("exit code %d", code)
	}
	if n := count(leased); n != 0 {
		t.Errorf("%d leases are left", n)
	}
	if n := moved(); n == tracks {
		t.Error("it moved everything: the test interrupts nothing")
	}
	if out, err := command(t, env, "migrate-storage", "run").CombinedOutput(); err != nil || moved() != tracks {
		t.Errorf("the run after it moved %d of %d: %v, %s", moved(), tracks, err, out)
	}
}

// A second interrupt ends a run at once. Its leases run out, for which the next run says that
// it waits, and then it has everything.
func TestSecondInterrupt(t *testing.T) {
	t.Parallel()
	const tracks = 4
	env, count := manyTracks(t, tracks)
	slow := command(t, env, "migrate-storage", "run", "--bandwidth", "1KiB") // in flight until the end of its grace
	if err := slow.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = slow.Wait()
		close(ended)
	}()
	eventually(t, "something is claimed", func() bool { return count(leased) > 0 })
	eventually(t, "it ends", func() bool {
		_ = slow.Process.Signal(syscall.SIGINT)
		select {
		case <-ended:
			return true
		default:
			return false
		}
	})
	if status := slow.ProcessState.Sys().(syscall.WaitStatus); !status.Signaled() || status.Signal() != syscall.SIGINT {
		t.Errorf("it ended by itself, with exit code %d", status.ExitStatus())
	}
	if count(leased) == 0 {
		t.Error("no lease is left: it was not cut short")
	}
	out, err := command(t, env, "migrate-storage", "run").CombinedOutput()
	if n := count(`SELECT count(*) FROM tracks WHERE storage_backend = 's3'`); err != nil || n != tracks {
		t.Errorf("the run after it moved %d of %d: %v, %s", n, tracks, err, out)
	}
	if !bytes.Contains(out, []byte("waiting for ")) {
		t.Errorf("it does not say that it waits: %s", out)
	}
}

// A watch shows what changes, until it is interrupted: that is how to end it, and no failure.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	env, _ := manyTracks(t, 1)
	watch := command(t, env, "migrate-storage", "status", "--watch")
	out, err := watch.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := watch.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	sees := func(want string) {
		t.Helper()
		for range 10 {
			if lines.Scan() && strings.HasSuffix(lines.Text(), want) {
				return
			}
		}
		t.Errorf("it says nothing of %q", want)
	}
	sees("1 on local disk, 0 on S3, 0 leased")
	if out, err := command(t, env, "migrate-storage", "run").CombinedOutput(); err != nil {
		t.Fatalf("%v, %s", err, out)
	}
	sees("0 on local disk, 1 on S3, 0 leased")
	_ = watch.Process.Signal(syscall.SIGINT)
	if err := watch.Wait(); err != nil {
		t.Error(err)
	}
}

const leased = `SELECT count(*) FROM track_migrations WHERE state = 'leased'`

// manyTracks makes local tracks of 64 KiB. count is the number that a query answers with.
func manyTracks(t *testing.T, tracks int) (env []string, count func(sql string) int) {
	root := t.TempDir()
	env = migrateEnv(t, root)
	conn, err := pgx.Connect(t.Context(), strings.TrimPrefix(env[0], "DATABASE_URL="))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	for i := range tracks {
		name := fmt.Sprintf("%d.wav", i)
		if err := os.WriteFile(filepath.Join(root, name), bytes.Repeat([]byte{byte(i)}, 64<<10), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), `INSERT INTO tracks (id, creator_id, title, file_path)
			VALUES (gen_random_uuid(), gen_random_uuid(), 'x', $1)`, name); err != nil {
			t.Fatal(err)
		}
	}
	if err := rest(root); err != nil {
		t.Fatal(err)
	}
	return env, func(sql string) (n int) {
		t.Helper()
		if err := conn.QueryRow(t.Context(), sql).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
}

func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it never came about that %s", what)
		}
	}
}
