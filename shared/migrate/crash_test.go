package migrate_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// crashRounds is how often processes are killed; TRACKSTORE_CRASH_ROUNDS sets another number.
const crashRounds = 8

// Real processes migrate, roll back, purge and sweep the same tracks at once, and are killed
// at random moments, while users replace and delete tracks, and others do what is in
// crash_others_test.go. At every moment each row names bytes that exist and are those of its file
// version; and when all is over, nothing is left.
func TestCrashes(t *testing.T) {
	t.Parallel()
	rounds := crashRounds
	if s := os.Getenv("TRACKSTORE_CRASH_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t)
	c := &crashes{rig: r, program: buildProgram(t), random: rand.New(rand.NewPCG(uint64(time.Now().UnixNano()), 0))}
	for i := range 150 {
		size := 200 + 997*i
		if i%30 == 0 {
			size = 17 << 20
		}
		c.add(size)
	}

	users, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	group.Go(func() { c.use(users) })
	group.Go(func() { c.watch(users) })
	group.Go(func() { c.meddle(users) })
	// More rounds on a machine that is too busy for the users to get anything done.
	for round := 0; round < rounds || !c.busy() && round < 20*rounds; round++ {
		c.round(round)
	}
	stop()
	group.Wait()
	if t.Failed() {
		return
	}

	// One run to the end, and a sweep: every track is on S3, and nothing else is left.
	c.finish("migrate-storage", "repair") // takes off the delete markers of tracks on S3
	c.undoRemovals()
	c.finish("migrate-storage", "retry")
	c.finish("migrate-storage", "run")
	time.Sleep(1100 * time.Millisecond) // the grace and the life of an upload, below
	c.finish("sweep")
	c.check(track.S3)
	c.finish("migrate-storage", "verify")
	r.settled()
	for m, err := range r.S3.ListMultiparts(t.Context(), "") {
		t.Errorf("a multipart upload is left: %+v, %v", m, err)
	}
	t.Logf("%d kills, %d replacements, %d deletions, %d looks; %+v", c.kills, c.replaced, c.deleted, c.looks, c.others)
	if !c.busy() {
		t.Error("the users, or others, did next to nothing")
	}
}

// busy reports whether enough has happened for the test to mean something.
func (c *crashes) busy() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kills >= 5 && c.replaced >= 10 && c.deleted >= 1 && c.looks >= 40 && c.others.busy()
}

type crashes struct {
	*rig
	program string
	random  *rand.Rand
	make    func(id track.ID, version int64, size int) []byte // nil: any bytes

	mu                              sync.Mutex
	tracks                          []track.ID
	size                            map[track.ID]int
	kills, replaced, deleted, looks int
	others                          others

	mounted sync.RWMutex // the root folder is there, as long as it is held for reading
}

func buildProgram(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "trackstore")
	if out, err := exec.Command("go", "build", "-o", program, "../../cmd/trackstore").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return program
}

// contentOf is what the file of one version of a track holds.
func (c *crashes) contentOf(id track.ID, version int64) []byte {
	c.mu.Lock()
	size := c.size[id]
	c.mu.Unlock()
	if c.make != nil {
		return c.make(id, version, size)
	}
	head := []byte(fmt.Sprintf("%s version %d ", id, version))
	return append(head, content(int(version), size)...)
}

func (c *crashes) add(size int) {
	id := track.NewID()
	c.mu.Lock()
	if c.size == nil {
		c.size = map[track.ID]int{}
	}
	c.tracks, c.size[id] = append(c.tracks, id), size
	c.mu.Unlock()
	path := fmt.Sprintf("audio/%s.wav", id)
	c.mounted.RLock()
	defer c.mounted.RUnlock()
	c.write(path, c.contentOf(id, 1))
	c.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, id, path)
}

// round starts some processes and kills them.
func (c *crashes) round(n int) {
	commands := [][]string{{"migrate-storage", "run", "--workers", "4"}, {"migrate-storage", "run"}, {"sweep"}}
	switch n % 4 {
	case 1:
		commands = [][]string{{"migrate-storage", "rollback", "--all"}, {"migrate-storage", "rollback"}, {"sweep"}}
	case 2:
		commands = append(commands, []string{"migrate-storage", "purge-local", "--yes", "--grace", "0s"})
	case 3:
		commands = [][]string{{"migrate-storage", "rollback"}, {"migrate-storage", "purge-local", "--yes", "--grace", "0s"}, {"sweep"}}
	}
	var running []*exec.Cmd
	for _, args := range commands {
		cmd := c.command(args...)
		if err := cmd.Start(); err != nil {
			c.Error(err)
			return
		}
		running = append(running, cmd)
	}
	for _, cmd := range running {
		time.Sleep(time.Duration(10+c.random.IntN(300)) * time.Millisecond)
		_ = cmd.Process.Kill() // SIGKILL
		if cmd.Wait(); cmd.ProcessState.ExitCode() == -1 {
			c.mu.Lock()
			c.kills++
			c.mu.Unlock()
		}
	}
}

func (c *crashes) command(args ...string) *exec.Cmd {
	cmd := exec.Command(c.program, args...)
	cmd.Env = []string{
		"DATABASE_URL=" + c.URL, "TRACK_LOCAL_DIR=" + c.Root, "TRACK_STORAGE_BACKEND=s3", "AWS_S3_ENABLED=true",
		"AWS_S3_BUCKET=" + c.Bucket.Name, "AWS_REGION=" + c.Bucket.Region, "AWS_S3_ENDPOINT=" + c.Bucket.Endpoint,
		"AWS_S3_FORCE_PATH_STYLE=true", "AWS_ACCESS_KEY_ID=" + c.Bucket.AccessKey, "AWS_SECRET_ACCESS_KEY=" + c.Bucket.SecretKey,
		"MIGRATE_LEASE=1s", "STORAGE_GRACE=1s", "UPLOAD_TTL=1s", "LOG_LEVEL=error", "PATH=" + os.Getenv("PATH"), "HOME=" + c.Root,
	}
	return cmd
}

func (c *crashes) finish(args ...string) {
	c.Helper()
	if out, err := c.command(args...).CombinedOutput(); err != nil {
		c.Errorf("%q: %v\n%s", args, err, out)
	}
}

// use replaces and deletes tracks, and brings new ones, as users do.
func (c *crashes) use(ctx context.Context) {
	random := rand.New(rand.NewPCG(1, 2))
	for n := 0; pause(ctx, time.Duration(5+random.IntN(30))*time.Millisecond); n++ {
		c.mu.Lock()
		id := c.tracks[random.IntN(len(c.tracks))]
		c.mu.Unlock()
		switch {
		case n%10 == 9:
			c.Exec(`UPDATE tracks SET deleted_at = now() WHERE id = $1`, id)
			c.mu.Lock()
			c.deleted++
			c.mu.Unlock()
			c.add(300 + random.IntN(50_000))
		case n%2 == 0:
			c.replace(ctx, id, track.Local)
		default:
			c.replace(ctx, id, track.S3)
		}
	}
}

// replace stores a new file of a track, bytes first, and then makes the row point at it:
// what a confirmed upload does, on either backend. The version that the bytes are for is
// known beforehand, so the row has to be still the same.
func (c *crashes) replace(ctx context.Context, id track.ID, backend string) {
	var version int64
	err := c.DB.QueryRow(ctx, `SELECT file_version FROM tracks WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&version)
	if err != nil {
		return // deleted, or the test is over
	}
	b := c.contentOf(id, version+1)
	name := track.UploadKey(id, track.NewID(), "x.wav")
	key, path := any(nil), name
	if backend == track.S3 {
		key, path = name, ""
		_, err = c.S3.Create(ctx, track.ObjectSpec{Key: name, ContentType: "audio/wav", Digest: track.Digest{Size: int64(len(b)), CRC64NVME: crcOf(b)}}, bytes.NewReader(b))
	} else {
		c.mounted.RLock()
		_, err = c.Disk.Create(ctx, track.ObjectSpec{Key: name, ContentType: "audio/wav", Digest: track.Digest{Size: int64(len(b)), CRC64NVME: crcOf(b)}}, bytes.NewReader(b))
		if err == nil {
			c.age(filepath.Join(c.Root, path))
		}
		c.mounted.RUnlock()
	}
	if err != nil {
		if ctx.Err() == nil {
			c.Error(err)
		}
		return
	}
	tag, err := c.DB.Exec(context.WithoutCancel(ctx), `
		WITH old AS (
			SELECT id, storage_backend, storage_key, file_path FROM tracks
			WHERE id = $1 AND file_version = $2 AND deleted_at IS NULL FOR NO KEY UPDATE
		), discarded AS (
			INSERT INTO track_discards (track_id, backend, storage_key, reason)
			SELECT id, backend, key, 'replaced' FROM (
				SELECT id, 's3' AS backend, storage_key AS key FROM old WHERE storage_backend = 's3'
				UNION ALL SELECT id, 'local', file_path FROM old WHERE file_path <> '') AS bytes
			ON CONFLICT (backend, storage_key) DO UPDATE SET discarded_at = now(), gone_at = NULL, removed_at = NULL
		)
		UPDATE tracks t SET storage_backend = $3, storage_key = $4, storage_version_id = NULL, file_path = $5, file_version = $2 + 1
		FROM old WHERE t.id = old.id AND set_config('trackstore.writer', 'on', true) = 'on'`, id, version, backend, key, path)
	if err != nil {
		c.Error(err)
	} else if tag.RowsAffected() == 1 {
		c.mu.Lock()
		c.replaced++
		c.mu.Unlock()
	}
}

// watch reads tracks as a player does, and checks what it gets.
func (c *crashes) watch(ctx context.Context) {
	random := rand.New(rand.NewPCG(3, 4))
	for pause(ctx, time.Millisecond) {
		c.mu.Lock()
		id := c.tracks[random.IntN(len(c.tracks))]
		c.looks++
		c.mu.Unlock()
		c.look(id)
	}
}

// look checks one track, unless its row changes while its bytes are read.
func (c *crashes) look(id track.ID) {
	type names struct {
		backend, path, key string
		version            int64
	}
	row := func() (n names, err error) {
		err = c.DB.QueryRow(context.WithoutCancel(c.Context()), `
			SELECT storage_backend, coalesce(file_path, ''), coalesce(storage_key, ''), file_version FROM tracks
			WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&n.backend, &n.path, &n.key, &n.version)
		return n, err
	}
	before, err := row()
	if err != nil {
		return
	}
	c.mounted.RLock()
	got, err := c.bytesOf(id)
	c.mounted.RUnlock()
	after, _ := row()
	if after != before {
		return
	}
	if err != nil {
		c.Errorf("lost: %+v: %v", before, err)
	} else if !bytes.Equal(got, c.contentOf(id, before.version)) {
		c.Errorf("stale: %+v has %.60q", before, got)
	}
}

// check looks at every track that is there, at rest.
func (c *crashes) check(backend string) {
	c.Helper()
	rows, err := c.DB.Query(c.Context(), `SELECT id, storage_backend FROM tracks WHERE deleted_at IS NULL`)
	if err != nil {
		c.Fatal(err)
	}
	var id track.ID
	var where string
	var ids []track.ID
	if _, err := pgx.ForEachRow(rows, []any{&id, &where}, func() error {
		if where != backend {
			c.Errorf("track %s is on %s: %s", id, where, c.one(`SELECT coalesce((SELECT state || ' ' || coalesce(error, '')
				FROM track_migrations WHERE track_id = $1), 'no state')`, id))
		}
		ids = append(ids, id)
		return nil
	}); err != nil {
		c.Fatal(err)
	}
	for _, id := range ids {
		c.look(id)
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
