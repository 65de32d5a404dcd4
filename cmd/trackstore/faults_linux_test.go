package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv/proxy"
	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// make faults asks for all.
var mostFaults = flag.Int("faults", 40, "how many system calls TestEverySystemCallFailsOnce makes fail; 0: all")

// Every system call that a command makes below the root folder fails, in every way, or the process is killed at it. Then
// the same command runs again in peace: nothing is lost, nothing is marked, nothing is left lying about.
func TestEverySystemCallFailsOnce(t *testing.T) {
	t.Parallel()
	needStrace(t)
	var all []trial
	w := newWorld(t)
	for _, s := range scenes() {
		all = append(all, w.trials(s)...)
	}
	slices.SortFunc(all, func(a, b trial) int { return strings.Compare(a.String(), b.String()) })
	rand.New(rand.NewPCG(1, 2)).Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if *mostFaults > 0 {
		all = all[:min(*mostFaults, len(all))]
	}
	// They wait more than they work. A world of their own has so many of them that its bucket stays small.
	var tally tally
	var group errgroup.Group
	const worlds, most = 10, 25
	group.SetLimit(worlds)
	for batch := range slices.Chunk(all, min(len(all)/worlds+1, most)) {
		group.Go(func() error {
			t.Run("world", func(t *testing.T) {
				w := newWorld(t)
				for _, one := range batch {
					t.Run(one.String(), func(t *testing.T) { tally.add(one, w.in(t).try(one)) })
				}
			})
			return nil
		})
	}
	_ = group.Wait()
	tally.report(t, all)
}

// The server is killed when a file is made of the parts, and before anybody was told: whoever sends the file again finds
// it stored.
func TestAKillOncePartsAreAFile(t *testing.T) {
	t.Parallel()
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		needStrace(t)
		w, all := newWorld(t), scenes()
		parts := all[slices.IndexFunc(all, func(s scene) bool { return s.name == "parts" })]
		// The folder of the parts is out of sight, and is being removed.
		if r := w.try(trial{parts, fault{site{"unlinkat", "manifest.json"}, "KILL", 1}}); r.hits == 0 {
			t.Error("it is not killed there")
		}
	})
	t.Run("s3", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		song := filepath.Join(w.root, "../song.wav")
		w.write("../song.wav", audiotest.WAV(2, 1))
		alive, kill := context.WithCancel(t.Context())
		defer kill()
		line := proxy.Around(t, w.getenv("AWS_S3_ENDPOINT"), func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPost || !r.URL.Query().Has("uploadId") {
					next.ServeHTTP(rw, r)
					return
				}
				answer := httptest.NewRecorder() // that never comes
				next.ServeHTTP(answer, r)
				if answer.Code != http.StatusOK {
					t.Errorf("the parts are not put together: %d %s", answer.Code, answer.Body)
				}
				kill()
				<-r.Context().Done() // until it is dead
			})
		})
		receiver := exec.CommandContext(alive, filepath.Join(w.programs, "receiver"), track.S3, song)
		receiver.Env = append(slices.Clone(w.env), "PATH="+os.Getenv("PATH"), "HOME="+w.TempDir(), "AWS_S3_ENDPOINT="+line)
		if out, _ := receiver.CombinedOutput(); receiver.ProcessState.ExitCode() != -1 {
			t.Errorf("it was not killed: %s", out)
		}
		var out transcript
		if code := receive(t.Context(), track.S3, song, w.getenv, &out); code != 0 {
			t.Errorf("in peace it ends with %d: %s", code, out.String())
		}
		got := w.query(`SELECT coalesce(string_agg(u.state || ' ' || t.status || ' ' || t.storage_backend, ', '), '')
			FROM tracks t JOIN track_uploads u ON u.track_id = t.id`)
		if got != "stored ready s3" {
			t.Errorf("the tracks are %s", got)
		}
	})
}

// trial is a command, and what happens to it.
type trial struct {
	scene
	fault
}

func (t trial) String() string { return t.name + " " + t.fault.String() }

// tally counts what was injected.
type tally struct {
	mu                                          sync.Mutex
	tried, hits, kills, several, strays, missed int
	hit                                         map[string]bool // scene, site and error
}

func (c *tally) add(one trial, r tracedRun) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hit == nil {
		c.hit = map[string]bool{}
	}
	c.tried++
	switch {
	case r.hits > 1:
		c.several++
	case r.hits == 0 && r.strays > 0:
		c.strays++
	case r.hits == 0:
		c.missed++
	}
	if r.hits > 0 {
		c.hits++
		c.hit[fmt.Sprint(one.name, r.lastHit, one.error)] = true
		if one.error == "KILL" {
			c.kills++
		}
	}
}

// report says how much was shown. Of all sites and errors each must have been met.
func (c *tally) report(t *testing.T, all []trial) {
	wanted, met := map[string]bool{}, 0
	for _, one := range all {
		wanted[fmt.Sprint(one.name, one.site, one.error)] = true
	}
	for key := range wanted {
		if c.hit[key] {
			met++
		} else if *mostFaults == 0 {
			t.Logf("never met: %s", key)
		}
	}
	t.Logf("%d injections below the root (%d kills, %d of several calls), %d elsewhere, %d that met no call; %d of %d calls, places and errors were met",
		c.hits, c.kills, c.several, c.strays, c.missed, met, len(wanted))
	if isWhole := c.tried == len(all); isWhole && (c.hits <= c.tried/2 || *mostFaults == 0 && c.hits < 2000) { // not one by name
		t.Errorf("only %d injections at %d tries", c.hits, c.tried)
	}
}

// scene is a command, and what comes before and after it.
type scene struct {
	name    string
	program string
	args    func(w *world) []string
	prepare func(w *world)
	peace   func(w *world) (code int, out string)
	files   []string // that are below the root at the end, beside what trackstore keeps for itself
	backend string   // where all tracks are then
}

func scenes() []scene {
	migration := func(name string, prepare func(*world), backend string, files []string, args ...string) scene {
		args = append([]string{"migrate-storage"}, args...)
		return scene{
			name: name, program: "trackstore", prepare: prepare, files: files, backend: backend,
			args:  func(*world) []string { return args },
			peace: func(w *world) (int, string) { return w.command(args...) },
		}
	}
	receiving := func(name string, seconds int) scene {
		return scene{
			name: name, program: "receiver", backend: track.Local, files: []string{"*"},
			prepare: func(w *world) { w.write("../song.wav", audiotest.WAV(seconds, 1)) },
			args:    func(w *world) []string { return []string{track.Local, filepath.Join(w.root, "../song.wav")} },
			peace: func(w *world) (int, string) {
				var out transcript
				code := receive(w.Context(), track.Local, filepath.Join(w.root, "../song.wav"), w.getenv, &out)
				return code, out.String()
			},
		}
	}
	moved := func(w *world) {
		w.addTracks()
		w.must("migrate-storage", "run")
	}
	return []scene{
		migration("run", (*world).addTracks, track.S3, worldPaths[:], "run", "--workers", "1"),
		migration("rollback", func(w *world) {
			moved(w)
			w.remove(worldPaths[0])
			w.remove(worldPaths[2])
		}, track.Local, []string{"restored/{0}/1.wav", worldPaths[1], "restored/{2}/1.wav"}, "rollback", "--workers", "1"),
		migration("purge", moved, track.S3, nil, "purge-local", "--yes", "--grace", "0s"),
		receiving("put", 1),
		receiving("parts", 2),
	}
}

// trials returns all that may happen to a scene, as a run in which nothing does shows.
func (w *world) trials(s scene) (all []trial) {
	w.reset()
	s.prepare(w)
	r := w.traced(nil, s.program, s.args(w)...)
	if r.code != 0 {
		w.Fatalf("%s ends with %d: %s", s.name, r.code, r.out)
	}
	w.ended(s, r)
	counts := map[site]int{}
	for _, at := range r.sites {
		counts[at]++
	}
	for at, n := range counts {
		most := 4
		if at.at == "" { // any file: among them those that have no name to choose them by
			most = 8
		}
		if at.at == "" && at.call == "write" { // sockets, too
			n, most = n+8, 12
		}
		for nth := range min(n, most) {
			for i, errno := range errnosOf(at.call) {
				if nth < 2 || errno == "KILL" || (i+nth)%3 == 0 || at.at == "" {
					all = append(all, trial{s, fault{at, errno, nth + 1}})
				}
			}
		}
	}
	w.Logf("%s: %d calls below the root at %d places, %d trials", s.name, len(r.sites), len(counts), len(all))
	return all
}

// try makes a command fail, and looks at what comes of it.
func (w *world) try(one trial) tracedRun {
	w.reset()
	one.prepare(w)
	r := w.traced(&one.fault, one.program, one.args(w)...)
	isKilled, isStray := r.code == -1, r.strays > 0
	says := func(format string, args ...any) {
		w.Helper()
		w.Errorf("%s; it ended with %d: %s", fmt.Sprintf(format, args...), r.code, r.out)
	}
	failed := w.query(`SELECT coalesce(string_agg(track_id || ' ' || state || ': ' || error, '; '), '') FROM track_migrations WHERE state NOT IN ('migrated', 'leased')`)
	if failed != "" && (r.hits < 3 || r.code != 2) {
		says("a passing error marks %s", failed)
	}
	if !isKilled && !isStray {
		if leases := w.query(`SELECT count(*)::text FROM track_migrations WHERE state = 'leased'`); leases != "0" {
			says("%s leases are left", leases)
		}
		if r.code == 0 {
			w.ended(one.scene, r)
		} else if r.code != 1 && r.code != 2 {
			says("what is that?")
		}
	}
	// The lease of one that was killed runs out.
	w.exec(`UPDATE track_migrations SET lease_expires_at = now() - interval '1 second' WHERE state = 'leased'`)
	if failed != "" {
		w.must("migrate-storage", "retry")
	}
	if code, out := one.peace(w); code != 0 {
		says("in peace it ends with %d, %s; before", code, out)
	}
	w.ended(one.scene, r)
	w.must("migrate-storage", "audit")
	w.must("migrate-storage", "verify")
	w.tidy()
	w.Logf("%s: %d calls failed below the root, %d elsewhere; exit code %d", one, r.hits, r.strays, r.code)
	return r
}

// worldPaths are where the tracks of a world lie.
var worldPaths = [3]string{"a.wav", "album/b.wav", "c.wav"}

// world is a database, a bucket and a root folder in which one command after another is made to fail.
type world struct {
	testing.TB
	root, programs string
	env            []string
	ids            [3]track.ID
	db             *pgx.Conn
}

var inEnvironment sync.Once

func newWorld(t *testing.T) *world {
	t.Helper()
	base := t.TempDir()
	root, err := filepath.EvalSymlinks(base)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{TB: t, root: filepath.Join(root, "root"), programs: install(t)}
	if err := os.Mkdir(w.root, 0o755); err != nil {
		t.Fatal(err)
	}
	w.env = append(migrateEnv(t, w.root), "UPLOAD_SINGLE_MAX_BYTES=100KiB")
	inEnvironment.Do(func() { // the S3 server of a test process has one pair of keys
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
			os.Setenv(name, w.getenv(name)) //nolint:usetesting // for all tests at once
		}
	})
	if w.db, err = pgx.Connect(t.Context(), w.getenv("DATABASE_URL")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.db.Close(context.Background()) })
	return w
}

// in is the same world in a test below.
func (w *world) in(t *testing.T) *world {
	copied := *w
	copied.TB = t
	return &copied
}

func (w *world) getenv(name string) string { return moves{env: w.env}.value(name) }

// reset makes the world as it was, but for the bucket: new tracks have new keys there.
func (w *world) reset() {
	for i := range w.ids {
		w.ids[i] = track.NewID()
	}
	w.exec(`SET session_replication_role = replica;
		DELETE FROM tracks; DELETE FROM track_uploads; DELETE FROM track_migrations; DELETE FROM track_discards;
		DELETE FROM track_former_paths; DELETE FROM track_events; DELETE FROM track_places WHERE kind = 'root';
		RESET session_replication_role`) // no trigger notes what goes
	entries, err := os.ReadDir(w.root)
	if err != nil {
		w.Fatal(err)
	}
	for _, entry := range entries {
		if err := os.RemoveAll(filepath.Join(w.root, entry.Name())); err != nil {
			w.Fatal(err)
		}
	}
}

func (w *world) addTracks() {
	for i, path := range worldPaths {
		w.write(path, w.content(i))
		if i == 2 {
			path = filepath.Join(w.root, path) // an absolute one
		}
		w.exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, gen_random_uuid(), 'x', $2)`, w.ids[i].String(), path)
	}
}

func (w *world) content(i int) []byte {
	return bytes.Repeat([]byte(w.ids[i].String()), 100+i)
}

func (w *world) write(path string, content []byte) {
	path = filepath.Join(w.root, path)
	old := time.Now().Add(-time.Hour)
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, content, 0o644), os.Chtimes(path, old, old)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) remove(path string) {
	if err := os.Remove(filepath.Join(w.root, path)); err != nil {
		w.Fatal(err)
	}
}

func (w *world) exec(sql string, args ...any) {
	w.Helper()
	if _, err := w.db.Exec(w.Context(), sql, args...); err != nil {
		w.Fatal(err)
	}
}

func (w *world) query(sql string) (answer string) {
	w.Helper()
	if err := w.db.QueryRow(w.Context(), sql).Scan(&answer); err != nil {
		w.Fatal(err)
	}
	return answer
}

// command runs one in peace, within this process.
func (w *world) command(args ...string) (code int, out string) {
	var said transcript
	code = run(w.Context(), args, w.getenv, &said, &said)
	return code, said.String()
}

// transcript takes what several goroutines write.
type transcript struct {
	mu sync.Mutex
	b  strings.Builder
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *transcript) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (w *world) must(args ...string) {
	w.Helper()
	if code, out := w.command(args...); code != 0 {
		w.Errorf("%q ends with %d: %s", args, code, out)
	}
}

// ended looks whether a command has done all that it is for, a run of which may have been made to fail.
func (w *world) ended(s scene, r tracedRun) {
	w.Helper()
	if s.program == "receiver" {
		w.received()
		return
	}
	if n := w.query(`SELECT count(*)::text FROM tracks WHERE storage_backend = '` + s.backend + `'`); n != "3" {
		w.Errorf("%s of 3 tracks are on %s", n, s.backend)
	}
	var want []string
	for _, path := range s.files {
		want = append(want, w.here(path))
	}
	slices.Sort(want)
	got := w.list("")
	if r.hits >= 3 { // at every try: a file that a rollback could not open stays beside the one that it wrote
		got = slices.DeleteFunc(got, func(path string) bool { return !slices.Contains(want, path) && strings.HasPrefix(path, "restored/") })
	}
	if !slices.Equal(got, want) {
		w.Errorf("the files are %q, want %q", got, want)
	}
	for i := range w.ids {
		var path string
		if err := w.db.QueryRow(w.Context(), `SELECT file_path FROM tracks WHERE id = $1`, w.ids[i].String()).Scan(&path); err != nil {
			w.Fatal(err)
		}
		if !filepath.IsAbs(path) {
			path = filepath.Join(w.root, path)
		}
		if content, err := os.ReadFile(path); s.backend == track.Local && !bytes.Equal(content, w.content(i)) {
			w.Errorf("%s has %d bytes, %v", path, len(content), err)
		}
	}
}

// received looks whether the upload is stored, once.
func (w *world) received() {
	w.Helper()
	want, err := os.ReadFile(filepath.Join(w.root, "../song.wav"))
	if err != nil {
		w.Fatal(err)
	}
	files := w.list("")
	if len(files) != 1 {
		w.Errorf("the files are %q", files)
	}
	for _, path := range files {
		if content, err := os.ReadFile(filepath.Join(w.root, path)); !bytes.Equal(content, want) {
			w.Errorf("%s has %d bytes, %v", path, len(content), err)
		}
	}
	// A request that could not be answered leaves a track that never had a file, of an upload that nobody was told of.
	got := w.query(`SELECT coalesce(string_agg(u.state || ' ' || t.status || ' ' || t.storage_backend || coalesce(' ' || t.file_path, ''), ', '), '')
		FROM tracks t JOIN track_uploads u ON u.track_id = t.id WHERE u.state <> 'aborted'`)
	if got != "stored ready local "+strings.Join(files, "") {
		w.Errorf("the tracks are %s, the files %q", got, files)
	}
}

// list returns the files below the root, but for those that trackstore keeps for itself.
func (w *world) list(below string) (files []string) {
	w.Helper()
	err := filepath.WalkDir(filepath.Join(w.root, below), func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(w.root, path)
		if rel == ".trackstore" && below == "" {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() {
			files = append(files, rel)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.Error(err)
	}
	return files
}

// tidy looks whether what a crash left goes when it is old.
func (w *world) tidy() {
	w.Helper()
	if len(w.list(".trackstore/multipart")) > 0 {
		time.Sleep(1100 * time.Millisecond)
		old := *w
		old.env = append(slices.Clone(w.env), "UPLOAD_TTL=1s", "UPLOAD_URL_TTL=1s")
		old.must("sweep")
	}
	entries, _ := os.ReadDir(filepath.Join(w.root, ".trackstore/tmp"))
	if len(entries) > 0 {
		yesterday := time.Now().Add(-25 * time.Hour)
		for _, entry := range entries {
			if err := os.Chtimes(filepath.Join(w.root, ".trackstore/tmp", entry.Name()), yesterday, yesterday); err != nil {
				w.Error(err)
			}
		}
		store, err := diskstore.New(diskstore.Config{Root: w.root})
		if err == nil {
			err = store.TryWrite(".", 0, 0)
		}
		if err != nil {
			w.Error(err)
		}
	}
	left := slices.Concat(w.list(".trackstore/tmp"), w.list(".trackstore/multipart"))
	if entries, _ = os.ReadDir(filepath.Join(w.root, ".trackstore/tmp")); len(entries) > 0 || len(left) > 0 {
		w.Errorf("left for ever: %q, %v", left, entries)
	}
}
