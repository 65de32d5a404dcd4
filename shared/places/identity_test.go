package places_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

// rig opens places over a database, a root and a bucket of a test's own.
type rig struct {
	testing.TB
	stores.Set
}

func newRig(t testing.TB) *rig {
	t.Helper()
	return &rig{t, stores.New(t)}
}

// proves asks both places, as a new process.
func (r *rig) proves(root string, bucket testenv.Bucket, meant places.Meant) (rootErr, bucketErr error) {
	r.Helper()
	p := r.OpenPlaces(root, bucket, meant)
	return p.Disk.Prove(r.Context()), p.Bucket.Prove(r.Context())
}

// right and wrong check one place.
func (r *rig) right(what string, err error) {
	r.Helper()
	if err != nil {
		r.Errorf("%s: %v", what, err)
	}
}

func (r *rig) wrong(what string, err error, says ...string) {
	r.Helper()
	if !errors.Is(err, track.ErrPlace) || track.IsRetryable(err) {
		r.Errorf("%s: got %v", what, err)
		return
	}
	for _, s := range says {
		if !strings.Contains(err.Error(), s) {
			r.Errorf("%s: %q does not say %q", what, err, s)
		}
	}
}

// localTrack makes a local track, with a file below a root unless that is empty.
func (r *rig) localTrack(root, path string) {
	r.Helper()
	id := track.NewID()
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', $2)`, id, path)
	if root == "" {
		return
	}
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(path)), 0o755); err != nil {
		r.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(root, path), []byte("RIFF"), 0o600); err != nil {
		r.Fatal(err)
	}
}

func (r *rig) recorded() string {
	r.Helper()
	var n string
	if err := r.DB.QueryRow(r.Context(), `SELECT coalesce(string_agg(kind || ' ' || is_current || ' ' || is_marked, ', ' ORDER BY kind, is_current), '')
		FROM track_places`).Scan(&n); err != nil {
		r.Fatal(err)
	}
	return n
}

func TestRootIsKnownFromTheFirstTimeOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	empty := r.TempDir()
	r.localTrack(r.Root, "a/b.wav")
	r.localTrack("", "gone.wav")

	err, _ := r.proves(empty, r.Bucket, places.Meant{})
	r.wrong("an empty mount point, before anything is recorded", err, "is the volume mounted?", empty, "--new-root")
	err, _ = r.proves(r.Root, r.Bucket, places.Meant{LookOnly: true})
	r.right("the root, looked at", err)
	if got := r.recorded(); strings.Contains(got, "root") {
		t.Errorf("a look recorded %q", got)
	}
	err, _ = r.proves(r.Root, r.Bucket, places.Meant{})
	r.right("the root", err)
	if got := r.recorded(); got != "bucket true true, root true true" {
		t.Errorf("recorded are %q", got)
	}

	// From then on, whatever the tracks are.
	r.Exec(`DELETE FROM tracks`)
	err, _ = r.proves(empty, r.Bucket, places.Meant{})
	r.wrong("an empty folder", err, "it bears no id", "is the volume mounted?", empty, r.Root, "--new-root")
	if names, _ := os.ReadDir(empty); len(names) > 0 {
		t.Errorf("something was written below it: %v", names)
	}
	err, _ = r.proves(filepath.Join(empty, "nowhere"), r.Bucket, places.Meant{})
	if !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("no folder: got %v", err)
	}
	err, _ = r.proves(r.Root, r.Bucket, places.Meant{})
	r.right("the root again", err)

	// A copy with the id is the same place.
	moved := r.TempDir()
	if err := os.CopyFS(moved, os.DirFS(r.Root)); err != nil {
		t.Fatal(err)
	}
	err, _ = r.proves(moved, r.Bucket, places.Meant{})
	r.right("a copy", err)

	// Another one is taken where it is meant, and the old one is another from then on.
	r.localTrack("", "gone.wav")
	err, _ = r.proves(empty, r.Bucket, places.Meant{NewRoot: true, LookOnly: true})
	r.right("another root, looked at", err)
	p := r.OpenPlaces(empty, r.Bucket, places.Meant{NewRoot: true})
	r.right("another root, meant", p.Disk.Prove(r.Context()))
	r.right("another root, meant, again", p.Disk.Prove(r.Context()))
	err, _ = r.proves(empty, r.Bucket, places.Meant{})
	r.right("another root", err)
	err, _ = r.proves(r.Root, r.Bucket, places.Meant{})
	r.wrong("the old root", err, "it bears the id ")
}

// A root that cannot be written to is known by the files in it.
func TestReadOnlyRootIsKnownByItsFiles(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.localTrack(r.Root, "a.wav")
	undo := testenv.ReadOnly(t, r.Root)
	for range 2 {
		err, _ := r.proves(r.Root, r.Bucket, places.Meant{})
		r.right("a read-only root", err)
	}
	if got := r.recorded(); got != "bucket true true, root true false" {
		t.Errorf("recorded are %q", got)
	}
	err, _ := r.proves(t.TempDir(), r.Bucket, places.Meant{})
	r.wrong("an empty folder", err, "is the volume mounted?")
	undo()
	err, _ = r.proves(r.Root, r.Bucket, places.Meant{})
	r.right("the root, to be written to", err)
	if got := r.recorded(); got != "bucket true true, root true true" {
		t.Errorf("recorded are %q", got)
	}
}

func TestBucketIsKnownFromTheFirstTimeOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
		SELECT gen_random_uuid(), gen_random_uuid(), 'x', '', 's3', 'tracks/' || n FROM generate_series(1, 3) n`)
	inBucket := func(name string) (n int) {
		if err := r.DB.QueryRow(t.Context(), `SELECT count(*) FROM tracks WHERE storage_bucket IS NOT DISTINCT FROM nullif($1, '')`, name).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	_, err := r.proves(r.Root, r.Bucket, places.Meant{LookOnly: true})
	r.right("the bucket, looked at", err)
	if id, err := r.S3.ID(t.Context()); !id.IsZero() || err != nil || r.recorded() != "root true true" && r.recorded() != "" {
		t.Errorf("a look has marked the bucket: %s, %v", id, err)
	}

	// Several at once agree.
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			p := r.OpenPlaces(r.Root, r.Bucket, places.Meant{})
			if err := errors.Join(p.Disk.Prove(r.Context()), p.Bucket.Prove(r.Context())); err != nil {
				r.Error(err)
			}
		})
	}
	group.Wait()
	_, err = r.proves(r.Root, r.Bucket, places.Meant{})
	r.right("the bucket", err)
	if got := inBucket(r.Bucket.Name); got != 3 {
		t.Errorf("%d of 3 tracks name the bucket", got)
	}

	other := testenv.S3(t)
	p := r.OpenPlaces(r.Root, other, places.Meant{})
	r.wrong("another bucket", p.Bucket.Prove(t.Context()), other.Name, r.Bucket.Name, "AWS_S3_BUCKET", "--new-bucket")
	_, err = p.Bucket.Head(t.Context(), "k", "")
	r.wrong("a call to it", err)
	if id, err := stores.OpenS3(t, other).ID(t.Context()); err != nil || !id.IsZero() {
		t.Errorf("it was marked: %s, %v", id, err)
	}
	nowhere := r.Bucket
	nowhere.Name = "trackstore-nowhere"
	_, err = r.proves(r.Root, nowhere, places.Meant{})
	r.wrong("no bucket", err)
	stranger := r.Bucket
	stranger.SecretKey = "wrong"
	_, err = r.proves(r.Root, stranger, places.Meant{})
	r.wrong("wrong credentials", err)

	// It is meant: tracks that name no bucket lie in the one of before.
	r.Exec(`UPDATE tracks SET storage_bucket = NULL`)
	_, err = r.proves(r.Root, other, places.Meant{NewBucket: true})
	r.right("another bucket, meant", err)
	if got := inBucket(r.Bucket.Name); got != 3 {
		t.Errorf("%d of 3 tracks name the bucket of before", got)
	}
	_, err = r.proves(r.Root, other, places.Meant{})
	r.right("the new bucket", err)
	_, err = r.proves(r.Root, r.Bucket, places.Meant{})
	r.wrong("the bucket of before", err)
	_, err = r.proves(r.Root, r.Bucket, places.Meant{NewBucket: true})
	r.right("the bucket of before, meant", err)
	if id, err := r.S3.ID(t.Context()); err != nil || id.IsZero() {
		t.Errorf("got %s, %v", id, err)
	}
}
