package testenv_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
)

// asProgram, set in the environment, makes TestUseServers use both servers, and then end or wait to be killed.
const asProgram = "TESTENV_TEST_THEN"

func TestMain(m *testing.M) { testenv.Main(m) }

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return conn
}

func TestPostgresGivesEachTestAMigratedDatabase(t *testing.T) {
	t.Parallel()
	for range 3 {
		conn := connect(t, testenv.Postgres(t))
		var rows int
		if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM tracks").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		if rows != 0 {
			t.Fatalf("a fresh database has %d tracks", rows)
		}
		if _, err := conn.Exec(t.Context(), "INSERT INTO tracks (id, creator_id, title) VALUES (gen_random_uuid(), gen_random_uuid(), 'x')"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestEmptyPostgresIsEmpty(t *testing.T) {
	t.Parallel()
	var tables int
	conn := connect(t, testenv.EmptyPostgres(t))
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").Scan(&tables); err != nil || tables != 0 {
		t.Errorf("%d tables, %v", tables, err)
	}
}

func TestDatabasesAndBucketsGoWithTheirTests(t *testing.T) {
	t.Parallel()
	var url string
	var bucket testenv.Bucket
	t.Run("test", func(t *testing.T) {
		url, bucket = testenv.Postgres(t), testenv.S3(t)
		conn, err := pgx.Connect(t.Context(), url) // left open
		if err != nil {
			t.Fatal(err)
		}
		_ = conn
	})
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("the database is still there")
	}
	if _, err := bucket.Client().HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket.Name}); err == nil {
		t.Error("the bucket is still there")
	}
}

func TestS3GivesEachTestAVersionedBucket(t *testing.T) {
	t.Parallel()
	b := testenv.S3(t)
	key := "a b/ü+%20?#.wav"
	for _, content := range []string{"one", "two"} {
		if _, err := b.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: &b.Name, Key: &key, Body: strings.NewReader(content)}); err != nil {
			t.Fatal(err)
		}
	}
	versions, err := b.Client().ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: &b.Name})
	if err != nil {
		t.Fatal(err)
	}
	if n := len(versions.Versions); n != 2 {
		t.Errorf("two PUTs of one key left %d versions", n)
	}
	got, err := b.Client().GetObject(t.Context(), &s3.GetObjectInput{Bucket: &b.Name, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	if content, err := io.ReadAll(got.Body); err != nil || string(content) != "two" {
		t.Errorf("read %q, %v", content, err)
	}
}

func TestBucketNamesAreLegalWhateverTheTestIsCalled(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"_", "ÄÖÜ ☃", "UPPER.case..dots", strings.Repeat("long-", 60), "xn--a", "-"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testenv.S3(t)
		})
	}
}

// fakeTest records how it ends.
type fakeTest struct {
	testing.TB
	failed, skipped bool
}

func (f *fakeTest) Helper()      {}
func (f *fakeTest) Fatal(...any) { f.failed = true; panic(f) }
func (f *fakeTest) Skip(...any)  { f.skipped = true; panic(f) }

func TestSkipFailsInCI(t *testing.T) {
	for ci, want := range map[string]fakeTest{"": {skipped: true}, "true": {failed: true}} {
		t.Setenv("CI", ci)
		var got fakeTest
		func() {
			defer func() { _ = recover() }()
			testenv.Skip(&got, "no such thing here")
		}()
		if got != want {
			t.Errorf("CI=%q: %+v", ci, got)
		}
	}
}

// TestUseServers is what the program of the tests below does.
func TestUseServers(t *testing.T) {
	then := os.Getenv(asProgram)
	if then == "" {
		return
	}
	testenv.S3(t)
	var dir string
	url := testenv.EmptyPostgres(t)
	if err := connect(t, url).QueryRow(t.Context(), "SHOW data_directory").Scan(&dir); err != nil {
		t.Fatal(err)
	}
	fmt.Println("using", filepath.Dir(dir), url)
	if then == "wait" {
		select {}
	}
}

// startProgram starts a process that uses both servers, and returns the folder that it has for them, and a database.
func startProgram(t *testing.T, then string) (cmd *exec.Cmd, dir, url string) {
	t.Helper()
	cmd = exec.Command(os.Args[0], "-test.run=^TestUseServers$")
	cmd.Env = append(os.Environ(), asProgram+"="+then)
	cmd.Stderr = t.Output()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fscanf(stdout, "using %s %s\n", &dir, &url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		os.RemoveAll(dir)
	})
	return cmd, dir, url
}

func TestNothingIsLeftBehind(t *testing.T) {
	t.Parallel()
	cmd, dir, url := startProgram(t, "end")
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", dir, err)
	}
	if conn, err := pgx.Connect(t.Context(), url); err == nil {
		conn.Close(t.Context())
		t.Error("Postgres is left")
	}
}

func TestWhatAKilledProcessLeavesIsRemovedByAnother(t *testing.T) {
	t.Parallel()
	killed, abandoned, _ := startProgram(t, "wait")
	_, used, _ := startProgram(t, "wait")
	if err := killed.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = killed.Wait()
	// Not always the first: while the killed one's Postgres still ends, it writes where others
	// remove, and the folder looks new then.
	var err error
	for deadline := time.Now().Add(20 * time.Second); err == nil && time.Now().Before(deadline); _, err = os.Stat(abandoned) {
		for _, dir := range []string{abandoned, used} {
			_ = os.Chtimes(dir, time.Time{}, time.Now().Add(-time.Hour)) // both look old
		}
		startProgram(t, "end")
	}
	if !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is left: %v", abandoned, err)
	}
	if _, err := os.Stat(used); err != nil {
		t.Errorf("a living process lost its folder: %v", err)
	}
}
