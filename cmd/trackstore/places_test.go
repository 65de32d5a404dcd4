package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"trackstore/internal/testenv"
)

// moves runs commands in one environment.
type moves struct {
	*testing.T
	env   []string
	count func(sql string) int
}

// with returns the same with another value of a variable.
func (m moves) with(name, value string) moves {
	m.env = append(slices.Clone(m.env), name+"="+value)
	return m
}

func (m moves) value(name string) (value string) {
	for _, v := range m.env {
		if n, found := strings.CutPrefix(v, name+"="); found {
			value = n
		}
	}
	return value
}

// exits runs a command and checks its exit code, and that it says so much.
func (m moves) exits(code int, says string, args ...string) {
	m.Helper()
	out, err := command(m.T, m.env, args...).CombinedOutput()
	var exit *exec.ExitError
	got := 0
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		m.Fatal(err)
	}
	if got != code || !bytes.Contains(out, []byte(says)) {
		m.Errorf("%q: exit code %d, not %d; it does not say %q: %s", args, got, code, says, out)
	}
}

// unmarked checks that nothing is marked as failed, leased or purged.
func (m moves) unmarked(when string) {
	m.Helper()
	if n := m.count(`SELECT count(*) FROM track_migrations WHERE state <> 'migrated' OR purged_at IS NOT NULL`); n != 0 {
		m.Errorf("%s: %d tracks are marked, %d of them leased", when, n, m.count(leased))
	}
}

func (m moves) on(backend string) int {
	m.Helper()
	return m.count(`SELECT count(*) FROM tracks WHERE storage_backend = '` + backend + `'`)
}

func (m moves) files(dir string) (n int) {
	m.Helper()
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() && strings.HasSuffix(d.Name(), ".wav") {
			n++
		}
		return err
	})
	return n
}

func newMoves(t *testing.T, tracks int) moves {
	t.Helper()
	env, count := manyTracks(t, tracks)
	return moves{t, env, count}
}

var moving = [][]string{
	{"run"}, {"rollback"}, {"verify"}, {"audit"}, {"purge-local", "--yes", "--grace", "0s"}, {"plan"}, {"run", "--dry-run"},
}

// A disk that is not mounted, and one that is unmounted in mid-run, is not a library of
// missing files; nor does a rollback write where nobody looks.
func TestVolumeThatIsNotMounted(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 40)
	empty := t.TempDir()
	elsewhere := m.with("TRACK_LOCAL_DIR", empty)
	for _, args := range moving {
		elsewhere.exits(1, "is the volume mounted?", append([]string{"migrate-storage"}, args...)...)
	}
	m.unmarked("a machine without the disk, before anything is recorded")
	m.exits(0, "", "migrate-storage", "run", "--limit", "10")
	if n := m.on("s3"); n != 10 {
		t.Fatalf("%d tracks are on S3", n)
	}
	for _, args := range moving {
		elsewhere.exits(1, "is the volume mounted?", append([]string{"migrate-storage"}, args...)...)
	}
	elsewhere.exits(1, "is the volume mounted?", "sweep")
	m.unmarked("a machine without the disk")

	m.exits(0, "", "migrate-storage", "run")
	m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
	elsewhere.exits(1, "is the volume mounted?", "migrate-storage", "rollback")
	if n := m.on("local"); n != 0 || elsewhere.files(empty) != 0 {
		t.Errorf("%d tracks, %d files were moved to another folder", n, elsewhere.files(empty))
	}
	if entries, err := os.ReadDir(empty); err != nil || len(entries) != 0 {
		t.Errorf("%d entries are in it, %v", len(entries), err)
	}
	m.exits(0, "", "migrate-storage", "rollback")
	if n := m.on("local"); n != 40 {
		t.Errorf("%d tracks are back", n)
	}
	// It is meant, and then the old one is another. What has no file there still has its object, and points at it again.
	elsewhere.exits(0, "", "migrate-storage", "run", "--new-root")
	if n := m.on("s3"); n != 40 {
		t.Errorf("%d tracks point at their objects", n)
	}
	m.exits(1, "is the volume mounted?", "migrate-storage", "run")
	m.exits(0, "", "migrate-storage", "run", "--new-root")
}

func TestVolumeThatIsUnmountedInMidRun(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 60)
	root, mounted := m.value("TRACK_LOCAL_DIR"), t.TempDir()
	unmount := testenv.Over(t, root, mounted)
	m = m.with("TRACK_LOCAL_DIR", mounted)
	for _, args := range [][]string{{"run"}, {"rollback"}, {"purge-local", "--yes", "--grace", "0s"}} {
		var calls atomic.Int32
		through := m.with("AWS_S3_ENDPOINT", s3Proxy(t, m.value("AWS_S3_ENDPOINT"), func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/tracks/") && calls.Add(1) == 20 {
				unmount()
			}
			return false
		}))
		through.exits(1, "is the volume mounted?", append([]string{"migrate-storage"}, append(args, "--json")...)...)
		if n := m.count(`SELECT count(*) FROM track_migrations WHERE state NOT IN ('migrated')`); n != 0 {
			t.Errorf("%q: %d tracks are marked or leased", args, n)
		}
		if n := m.files(mounted); n != 0 {
			t.Errorf("%q: %d files were written where nobody looks", args, n)
		}
		unmount = testenv.Over(t, root, mounted)
		m.exits(0, "", append([]string{"migrate-storage"}, args...)...) // the same goes on
		if args[0] == "run" {
			m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
		}
		if args[0] == "rollback" {
			m.exits(0, "", "migrate-storage", "run")
		}
	}
	m.exits(0, "", "migrate-storage", "audit")
}

// Another bucket ends every command before it does anything.
func TestAnotherBucket(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 10)
	m.exits(0, "", "migrate-storage", "run", "--limit", "5")
	if n := m.count(`SELECT count(*) FROM tracks WHERE storage_bucket = '` + m.value("AWS_S3_BUCKET") + `'`); n != 5 {
		t.Errorf("%d of 5 tracks name their bucket", n)
	}
	other := m.with("AWS_S3_BUCKET", testenv.S3(t).Name)
	for _, args := range moving {
		other.exits(1, "is AWS_S3_BUCKET right?", append([]string{"migrate-storage"}, args...)...)
	}
	other.exits(1, "is AWS_S3_BUCKET right?", "sweep")
	m.unmarked("another bucket")
	if on := m.on("s3"); on != 5 || m.files(m.value("TRACK_LOCAL_DIR")) != 10 {
		t.Errorf("%d tracks are on S3, %d files are there", on, m.files(m.value("TRACK_LOCAL_DIR")))
	}
	// It is meant: what lies in the old bucket is read there.
	other.exits(0, "", "migrate-storage", "run", "--new-bucket")
	for _, bucket := range []string{m.value("AWS_S3_BUCKET"), other.value("AWS_S3_BUCKET")} {
		if n := m.count(`SELECT count(*) FROM tracks WHERE storage_bucket = '` + bucket + `'`); n != 5 {
			t.Errorf("%d of 5 tracks name %s", n, bucket)
		}
	}
	for _, args := range [][]string{{"verify"}, {"audit"}, {"repair"}, {"purge-local", "--yes", "--grace", "0s"}, {"verify"}} {
		other.exits(0, "", append([]string{"migrate-storage"}, args...)...)
	}
	if n := m.files(m.value("TRACK_LOCAL_DIR")); n != 0 {
		t.Errorf("%d files are left", n)
	}
	other.exits(0, "", "migrate-storage", "rollback")
	if n := m.on("local"); n != 10 || m.count(`SELECT count(*) FROM tracks WHERE storage_bucket IS NOT NULL`) != 0 {
		t.Errorf("%d tracks are back", n)
	}
}

// A disk that is full or becomes so, or that is read-only, is no track's failure.
func TestRollbackToADiskThatTakesNothing(t *testing.T) {
	t.Parallel()
	root := testenv.Memory(t, "3m")
	m := newMoves(t, 20).with("TRACK_LOCAL_DIR", root)
	for i := range 20 {
		if err := os.WriteFile(filepath.Join(root, fmt.Sprintf("%d.wav", i)), bytes.Repeat([]byte{byte(i)}, 64<<10), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.exits(0, "", "migrate-storage", "run")

	writable := testenv.ReadOnly(t, root)
	m.exits(1, "read-only", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
	m.unmarked("a purge on a read-only disk")
	writable()
	m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
	writable = testenv.ReadOnly(t, root)
	m.exits(1, "read-only", "migrate-storage", "rollback")
	writable()

	filler := filepath.Join(root, "filler")
	fill := func(size int) {
		t.Helper()
		if err := os.WriteFile(filler, make([]byte, size), 0o644); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Error(err)
		}
	}
	fill(2 << 20)
	m.exits(1, "20 files of 1310720 bytes together are to be written", "migrate-storage", "rollback")
	if n := m.on("local"); n != 0 || m.files(root) != 0 {
		t.Errorf("%d tracks were moved, %d files written", n, m.files(root))
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	var once sync.Once
	m.with("AWS_S3_ENDPOINT", s3Proxy(t, m.value("AWS_S3_ENDPOINT"), func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/tracks/") {
			once.Do(func() { fill(3 << 20) })
		}
		return false
	})).exits(1, "no space left on device", "migrate-storage", "rollback")
	if n := m.count(`SELECT count(*) FROM track_migrations WHERE state NOT IN ('migrated')`); n != 0 {
		t.Errorf("%d tracks are marked or leased", n)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	m.exits(0, "", "migrate-storage", "rollback")
	if n := m.on("local"); n != 20 {
		t.Errorf("%d tracks are back", n)
	}
	m.exits(0, "", "migrate-storage", "audit")
}

// A file system without hard links is as good.
func TestRollbackToADiskWithoutLinks(t *testing.T) {
	t.Parallel()
	root := testenv.ExFAT(t)
	m := newMoves(t, 0).with("TRACK_LOCAL_DIR", root)
	if err := os.WriteFile(filepath.Join(root, "a.wav"), []byte("RIFF a"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.count(`WITH made AS (INSERT INTO tracks (id, creator_id, title, file_path) VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 'a.wav') RETURNING 1)
		SELECT count(*) FROM made`)
	m.exits(0, "", "migrate-storage", "run")
	m.exits(0, "", "migrate-storage", "purge-local", "--yes", "--grace", "0s")
	m.exits(0, "", "migrate-storage", "rollback")
	if n := m.on("local"); n != 1 || m.files(root) != 1 {
		t.Errorf("%d tracks and %d files are back", n, m.files(root))
	}
	m.exits(0, "", "migrate-storage", "audit")
}

// A look that is denied is the bucket's, and no track's: it ends a command, also where rows name no bucket, as those of a
// platform that filled the table itself. They mean the one that is worked with.
func TestALookThatIsDenied(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 3)
	m.exits(0, "", "migrate-storage", "run")
	denying := m.with("AWS_S3_ENDPOINT", s3Proxy(t, m.value("AWS_S3_ENDPOINT"), func(w http.ResponseWriter, r *http.Request) bool {
		isDenied := r.Method == http.MethodHead && strings.Contains(r.URL.Path, "/tracks/")
		if isDenied {
			w.WriteHeader(http.StatusForbidden)
		}
		return isDenied
	}))
	for _, bucket := range []string{m.value("AWS_S3_BUCKET"), ""} {
		if n := m.count(`WITH named AS (UPDATE tracks SET storage_bucket = nullif('` + bucket + `', '')
			WHERE set_config('trackstore.writer', 'on', true) = 'on' RETURNING 1) SELECT count(*) FROM named`); n != 3 {
			t.Fatalf("%d rows name %q", n, bucket)
		}
		m.exits(0, "", "migrate-storage", "audit")
		denying.exits(1, "access denied", "migrate-storage", "audit")
		denying.exits(1, "access denied", "migrate-storage", "repair")
	}
}

// What refuses every write is the bucket, or who asks: a few are tried, and none has failed.
func TestBucketThatRefuses(t *testing.T) {
	t.Parallel()
	m := newMoves(t, 60)
	m.exits(0, "", "migrate-storage", "run", "--limit", "1")
	deny := func(w http.ResponseWriter, r *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		if r.Method != http.MethodHead {
			fmt.Fprint(w, "<Error><Code>AccessDenied</Code><Message>as told</Message></Error>")
		}
		return true
	}
	for name, answer := range map[string]func(http.ResponseWriter, *http.Request) bool{
		"every write is denied": func(w http.ResponseWriter, r *http.Request) bool {
			return r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/tracks/") && deny(w, r)
		},
		"all is denied": deny,
		"there is no such bucket": func(w http.ResponseWriter, r *http.Request) bool {
			w.WriteHeader(http.StatusNotFound)
			if r.Method != http.MethodHead {
				fmt.Fprint(w, "<Error><Code>NoSuchBucket</Code><Message>as told</Message></Error>")
			}
			return true
		},
		"what answers is a proxy's page": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Content-Type", "text/html")
			fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
			return true
		},
		"writes end at a proxy's page": func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != http.MethodPut {
				return false
			}
			fmt.Fprint(w, "<!doctype html><title>Welcome</title>")
			return true
		},
	} {
		var puts atomic.Int32
		m.with("AWS_S3_ENDPOINT", s3Proxy(t, m.value("AWS_S3_ENDPOINT"), func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method == http.MethodPut {
				puts.Add(1)
			}
			return answer(w, r)
		})).exits(1, "", "migrate-storage", "run", "--workers", "4")
		m.unmarked(name)
		if n := m.on("s3"); n != 1 || puts.Load() > 40 {
			t.Errorf("%s: %d tracks are on S3, after %d PUTs", name, n, puts.Load())
		}
	}
	m.with("AWS_SECRET_ACCESS_KEY", "wrong").exits(1, "SignatureDoesNotMatch", "migrate-storage", "run")
	m.unmarked("wrong credentials")

	// One that is refused holds nobody up, and fails by itself.
	var refused atomic.Value
	m.with("AWS_S3_ENDPOINT", s3Proxy(t, m.value("AWS_S3_ENDPOINT"), func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodPut {
			return false
		}
		refused.CompareAndSwap(nil, r.URL.Path)
		return refused.Load() == r.URL.Path && deny(w, r)
	})).exits(2, "access denied", "migrate-storage", "run")
	if n := m.on("s3"); n != 59 {
		t.Errorf("%d of 59 tracks are on S3", n)
	}
}

// s3Proxy stands before an S3 server; where answer returns true, it has answered.
func s3Proxy(t *testing.T, endpoint string, answer func(http.ResponseWriter, *http.Request) bool) string {
	t.Helper()
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // it is signed
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !answer(w, r) {
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}
