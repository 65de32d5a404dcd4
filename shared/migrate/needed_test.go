package migrate_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"trackstore/internal/testenv"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// purgeOf purges, and returns what it found, as kind and path.
func (r *rig) purgeOf(p migrate.Purger) (did migrate.Purged, found []string) {
	r.Helper()
	p.Purges, p.Bucket = r.Store, r.S3
	if p.Files == nil {
		p.Files = r.Disk
	}
	p.Found = func(f migrate.Finding) { found = append(found, f.Kind+" "+f.Path) }
	did, err := p.Purge(r.Context(), 0)
	if err != nil {
		r.Fatal(err)
	}
	slices.Sort(found)
	return did, found
}

func (r *rig) isThere(path string, want bool) {
	r.Helper()
	if _, err := os.Stat(filepath.Join(r.Root, path)); errors.Is(err, fs.ErrNotExist) == want {
		r.Errorf("%s: there should be one: %t; %v", path, want, err)
	}
}

// A file stays that a track on disk has by another way: a second mount of its folder, under the root or elsewhere, or
// another name of the file itself.
func TestPurgeKnowsAFileByItsInode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	elsewhere := t.TempDir()
	for _, name := range []string{"a/mounted.wav", "a/outside.wav", "a/hard.wav", "a/alone.wav", "b/x"} {
		r.write(name, content(len(name), 100))
	}
	testenv.Over(t, filepath.Join(r.Root, "a"), filepath.Join(r.Root, "b"))
	testenv.Over(t, filepath.Join(r.Root, "a"), elsewhere)
	if err := os.Link(filepath.Join(r.Root, "a/hard.wav"), filepath.Join(r.Root, "linked.wav")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a/mounted.wav", "a/outside.wav", "a/hard.wav", "a/alone.wav"} {
		r.insert(name)
	}
	r.run(r.upload(), job())
	r.insert("b/mounted.wav")
	r.insert(filepath.Join(elsewhere, "outside.wav"))
	r.insert("linked.wav")
	did, found := r.purgeOf(migrate.Purger{})
	want := []string{"local_shared a/hard.wav", "local_shared a/mounted.wav", "local_shared a/outside.wav"}
	if did.Purged != 1 || !slices.Equal(found, want) {
		t.Errorf("%+v, %q", did, found)
	}
	for name, there := range map[string]bool{"a/mounted.wav": true, "a/outside.wav": true, "a/hard.wav": true, "a/alone.wav": false} {
		r.isThere(name, there)
	}
}

// The same, where a disk takes upper and lower case for the same.
func TestPurgeKnowsAFileInAnotherCase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	exfat := testenv.ExFAT(t)
	r.write("x", nil)
	if err := os.Mkdir(filepath.Join(r.Root, "card"), 0o755); err != nil {
		t.Fatal(err)
	}
	testenv.Over(t, exfat, filepath.Join(r.Root, "card"))
	r.add("card/AbC.wav", content(1, 100))
	r.add("card/other.wav", content(2, 100))
	r.run(r.upload(), job())
	r.insert("card/abc.wav")
	did, found := r.purgeOf(migrate.Purger{})
	if did.Purged != 1 || !slices.Equal(found, []string{"local_shared card/AbC.wav"}) {
		t.Errorf("%+v, %q", did, found)
	}
	r.isThere("card/AbC.wav", true)
}

// A folder that cannot be read stops its own tracks alone, those on disk and those to purge.
func TestPurgeGoesOnPastALockedFolder(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"a.wav", "locked/b.wav", "locked/c.wav", "d.wav"} {
		r.add(name, content(len(name), 100))
	}
	r.run(r.upload(), job())
	r.add("locked/local.wav", content(9, 100))
	did, found := r.purgeOf(migrate.Purger{Files: lockedFolder{r.Disk}})
	want := []string{"local_unreadable locked/b.wav", "local_unreadable locked/c.wav", "local_unreadable locked/local.wav"}
	if did.Purged != 2 || !slices.Equal(found, want) {
		t.Errorf("%+v, %q", did, found)
	}
}

// lockedFolder is a disk of which a folder lets itself be read while files are compared, and not afterwards.
type lockedFolder struct{ migrate.LocalFiles }

func locked(filePath string) error {
	if strings.HasPrefix(filePath, "locked/") {
		return &fs.PathError{Op: "lstat", Path: filePath, Err: fs.ErrPermission}
	}
	return nil
}

func (f lockedFolder) PlainPaths(filePath string) ([]string, error) {
	if err := locked(filePath); err != nil {
		return nil, err
	}
	return f.LocalFiles.PlainPaths(filePath)
}

func (f lockedFolder) Identity(filePath string) (track.FileIdentity, error) {
	if err := locked(filePath); err != nil {
		return track.FileIdentity{}, err
	}
	return f.LocalFiles.Identity(filePath)
}

// A purge may be narrowed down: to some tracks, to so many files, or to a look.
func TestPurgeOfSome(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var ids []track.ID
	for i := range 6 {
		ids = append(ids, r.add(string(rune('a'+i))+".wav", content(i, 100)))
	}
	r.run(r.upload(), job())
	r.write("a.wav", content(7, 100)) // differs, and takes nobody's place within the limit
	left := func() (n int) {
		for i := range 6 {
			if _, err := os.Stat(filepath.Join(r.Root, string(rune('a'+i))+".wav")); err == nil {
				n++
			}
		}
		return n
	}
	if did, _ := r.purgeOf(migrate.Purger{DryRun: true}); did.Purged != 5 || did.Bytes != 500 || did.Findings != 1 || left() != 6 {
		t.Errorf("a look: %+v, %d are left", did, left())
	}
	if n := r.one(`SELECT count(*)::text FROM track_migrations WHERE purged_at IS NOT NULL`); n != "0" {
		t.Errorf("a look marked %s", n)
	}
	if did, _ := r.purgeOf(migrate.Purger{Only: ids[5:]}); did.Purged != 1 || left() != 5 {
		t.Errorf("one track: %+v, %d are left", did, left())
	}
	r.isThere("f.wav", false)
	if did, _ := r.purgeOf(migrate.Purger{Limit: 3}); did.Purged != 3 || left() != 2 {
		t.Errorf("three: %+v, %d are left", did, left())
	}
}

// forgettingPurges is a database that is restored, right after a mark, to the time before it.
type forgettingPurges struct {
	migrate.Purges
	restore func()
}

func (p forgettingPurges) Mark(ctx context.Context, doomed []track.DoomedFile, grace time.Duration) ([]bool, error) {
	marked, err := p.Purges.Mark(ctx, doomed, grace)
	p.restore()
	return marked, err
}

// A purge that was stopped looks whether its mark holds before it removes a file: the rollback that
// came meanwhile knew of none.
func TestAPurgeLooksAtItsMarkOnceMore(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("a.wav", content(1, 100))
	r.run(r.upload(), job())
	_, err := migrate.Purger{
		Purges: forgettingPurges{r.Store, func() {
			r.Exec(`DELETE FROM track_discards`)
			r.Exec(`UPDATE track_migrations SET purged_at = NULL, finished_at = now() - interval '1 year'`)
		}},
		Files: r.Disk, Bucket: r.S3, Found: func(migrate.Finding) {},
	}.Purge(t.Context(), 0)
	if err != nil {
		t.Error(err)
	}
	r.isThere("a.wav", true)
}
