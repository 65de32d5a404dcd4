package migrate_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/track"
)

// Two tracks on S3 left the same file on disk, and each spells its path in its own way. One
// copy is purged while the other track is rolled back, in every order of their steps:
// whichever is faster, the track that came back has its bytes.
func TestPurgeBesideARollbackToTheSameFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	restore := r.restore()
	type race struct {
		purged, back track.ID
		paths        [2]string // of the purged track and of the other
		steps        [3]int    // at which of the purge's moments the rollback claims, reads and flips
		content      []byte
	}
	var races []race
	for _, steps := range orders(4) {
		for pair := range 4 * 4 {
			if pair/4 == pair%4 {
				continue
			}
			dir := fmt.Sprint("album", len(races))
			plain, link := dir+"/x.wav", dir+"-link"
			if err := os.Symlink(dir, filepath.Join(r.Root, link)); err != nil {
				t.Fatal(err)
			}
			spellings := [4]string{plain, filepath.Join(r.Root, plain), dir + "/./x.wav", link + "/x.wav"}
			c := race{paths: [2]string{spellings[pair/4], spellings[pair%4]}, steps: steps, content: content(len(races), 100)}
			r.write(plain, c.content)
			c.purged, c.back = r.insert(c.paths[0]), r.insert(c.paths[1])
			races = append(races, c)
		}
	}
	r.run(r.upload(), job())
	r.Exec(`UPDATE track_migrations SET finished_at = now() - interval '1 day'`)
	r.turn(track.ToLocal)
	for _, c := range races {
		var lease track.Lease
		var moved track.Result
		steps := []func() error{
			func() error {
				lease = r.claimBack(c.back)
				return nil
			},
			func() (err error) {
				moved, err = restore.Move(t.Context(), lease)
				return err
			},
			func() error {
				_, err := r.Store.Settle(t.Context(), track.ToLocal, []track.Outcome{{Lease: lease, Result: moved}})
				return err
			},
		}
		next := 0
		until := func(moment int) {
			for ; next < len(steps) && c.steps[next] <= moment; next++ {
				if err := steps[next](); err != nil {
					t.Fatalf("%v: rollback, step %d: %v", c, next, err)
				}
			}
		}
		r.purgeBeside(c.purged, until)
		until(len(steps))
		for _, id := range []track.ID{c.purged, c.back} {
			if got, err := r.bytesOf(id); err != nil || !bytes.Equal(got, c.content) {
				t.Errorf("%q purged, %q rolled back at %v: %d bytes, %v", c.paths[0], c.paths[1], c.steps, len(got), err)
			}
		}
	}
}

// The same, where the purged track is replaced right before its copy is removed: the note of
// what is given up then does not take the mark away.
func TestPurgeBesideAReplacementAndARollback(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	purged, back, old := r.twins()
	upload := r.Ticket(purged, track.S3, func(t *track.Ticket) { t.UserID = purged })
	until := func(moment int) {
		if moment != 2 {
			return
		}
		done, err := r.Store.SettleUploads(t.Context(), []track.Finding{{UploadID: upload.ID, Size: 100, Format: track.WAV}}, false)
		if settled := done.Settled; err != nil || len(settled) != 1 || settled[0].State != track.UploadStored {
			t.Fatalf("%+v, %v", done, err)
		}
		r.turn(track.ToLocal)
		rollback := job()
		rollback.TrackIDs = []track.ID{back}
		r.run(r.restore(), rollback)
	}
	if did := r.purgeBeside(purged, until); did.Purged != 1 {
		t.Fatalf("%+v", did)
	}
	r.holds(back, track.Local, old)
}

// The same, where a second purge runs while the first is about to remove the copy: it does
// not take the mark away that the first relies on. Nor would a sweep, to which no mark is due
// that has just been set, though there was an older note.
func TestTwoPurgesBesideARollback(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	purged, back, old := r.twins()
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at, removed_at, gone_at)
		SELECT $1, 'local', 'x.wav', 'replaced', ago, ago, ago FROM (SELECT now() - interval '1 day' AS ago) AS day`, purged)
	restore := r.restore()
	r.purgeBeside(purged, func(moment int) {
		if moment != 2 {
			return
		}
		r.turn(track.ToLocal)
		lease := r.claimBack(back)
		r.purgeBeside(purged, func(int) {})
		if due, err := r.Store.DueDiscards(t.Context(), track.Local, time.Hour, track.Discard{}, 1); err != nil || len(due) > 0 {
			t.Errorf("due to a sweep: %+v, %v", due, err)
		}
		moved, err := restore.Move(t.Context(), lease)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Store.Settle(t.Context(), track.ToLocal, []track.Outcome{{Lease: lease, Result: moved}}); err != nil {
			t.Fatal(err)
		}
	})
	if got, err := r.bytesOf(back); err != nil || !bytes.Equal(got, old) {
		t.Errorf("the track that came back has %d bytes, %v", len(got), err)
	}
}

// A copy that another track had, too, stays until that one's grace is over.
func TestPurgeLeavesWhatAnotherTrackNeeds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const old, young = 2 * time.Hour, 30 * time.Minute
	for name, another := range map[string]struct {
		moved, deleted time.Duration // how long ago; 0: not
		path           string
		purged         bool
	}{
		"old.wav":           {moved: old, path: "old.wav", purged: true},
		"young.wav":         {moved: young, path: "young.wav"},
		"absolute.wav":      {moved: young, path: filepath.Join(r.Root, "absolute.wav")},
		"deleted.wav":       {deleted: young, path: "deleted.wav"},
		"detour.wav":        {deleted: young, path: "./detour.wav"},
		"moved-deleted.wav": {moved: young, deleted: young, path: "moved-deleted.wav"},
		"long-deleted.wav":  {deleted: old, path: "long-deleted.wav", purged: true},
	} {
		id := r.add(name, content(len(name), 100))
		r.run(r.upload(), job())
		r.Exec(`UPDATE track_migrations SET finished_at = now() - $2::interval WHERE track_id = $1`, id, old)
		other := r.insert(another.path)
		if another.moved > 0 {
			r.run(r.upload(), job())
			r.Exec(`UPDATE track_migrations SET finished_at = now() - $2::interval WHERE track_id = $1`, other, another.moved)
		}
		if another.deleted > 0 {
			r.Exec(`UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1`, other, another.deleted)
		}
		var kinds []string
		_, err := migrate.Purger{
			Purges: pausedPurges{r.Store, id, func(int) {}}, Files: r.Disk, Bucket: r.S3,
			Found: func(f migrate.Finding) { kinds = append(kinds, f.Kind) },
		}.Purge(t.Context(), time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		_, err = os.Stat(filepath.Join(r.Root, name))
		if purged := err != nil; purged != another.purged || !purged && !slices.Equal(kinds, []string{migrate.LocalShared}) {
			t.Errorf("%s: purged %t, %q", name, purged, kinds)
		}
	}
}

// A purge was cut short after its mark, and then somebody let the link that its track names
// lead to another file: that one is neither marked nor compared.
func TestPurgeGoesOnWithWhatItMarked(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("old/x.wav", content(1, 100))
	link := filepath.Join(r.Root, "album")
	if err := os.Symlink("old", link); err != nil {
		t.Fatal(err)
	}
	r.insert("album/x.wav")
	another := r.add("new/x.wav", content(2, 100))
	r.run(r.upload(), job())
	purge := func(files migrate.LocalFiles) {
		_, err := migrate.Purger{Purges: r.Store, Files: files, Bucket: r.S3, Found: func(migrate.Finding) {}}.Purge(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
	}
	r.Exec(`UPDATE track_migrations SET finished_at = now() + interval '1 day' WHERE track_id = $1`, another)
	purge(removals{r.Disk, func() error { return errors.New("stuck") }})
	r.remove("album")
	if err := os.Symlink("new", link); err != nil {
		t.Fatal(err)
	}
	r.Exec(`UPDATE track_migrations SET finished_at = now() WHERE track_id = $1`, another)
	r.write("new/x.wav", content(3, 100)) // which purges keep, as it is not what was recorded
	purge(r.Disk)
	purge(r.Disk)
	if _, err := os.Stat(filepath.Join(r.Root, "new/x.wav")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(r.Root, "old/x.wav")); err == nil {
		t.Error("the marked file is still there")
	}
}

// A disk that is out of reach for a moment, right after the mark, does not end a purge.
func TestPurgeTriesARemovalAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("x.wav", content(1, 100))
	r.run(r.upload(), job())
	tries := 0
	busy := removals{r.Disk, func() error {
		if tries++; tries == 1 {
			return track.ErrUnavailable
		}
		return nil
	}}
	did, err := migrate.Purger{Purges: r.Store, Files: busy, Bucket: r.S3, Found: func(f migrate.Finding) { t.Errorf("%+v", f) }}.Purge(t.Context(), 0)
	if err != nil || did.Purged != 1 || tries != 2 {
		t.Errorf("%+v, %v after %d tries", did, err, tries)
	}
}

// A copy that goes while it is compared, as that of another track, is absent, and no finding.
func TestPurgeOfACopyThatGoes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.add("x.wav", content(1, 100))
	r.run(r.upload(), job())
	goes := goingFiles{r.Disk, func() { _ = os.Remove(filepath.Join(r.Root, "x.wav")) }}
	did, err := migrate.Purger{Purges: r.Store, Files: goes, Bucket: r.S3, Found: func(f migrate.Finding) { t.Errorf("%+v", f) }}.Purge(t.Context(), 0)
	if err != nil || did.Absent != 1 {
		t.Errorf("%+v, %v", did, err)
	}
}

// goingFiles are files that are removed while they are read.
type goingFiles struct {
	migrate.LocalFiles
	remove func()
}

func (f goingFiles) OpenFile(filePath string) (track.File, error) {
	file, err := f.LocalFiles.OpenFile(filePath)
	return goingFile{file, f.remove}, err
}

type goingFile struct {
	track.File
	remove func()
}

func (f goingFile) ReadAt(p []byte, offset int64) (int, error) {
	f.remove()
	return f.File.ReadAt(p, offset)
}

// orders returns the ways to take three steps, one after the other, at some of n moments.
func orders(n int) (all [][3]int) {
	for a := range n {
		for b := a; b < n; b++ {
			for c := b; c < n; c++ {
				all = append(all, [3]int{a, b, c})
			}
		}
	}
	return all
}

// twins are two tracks of one file, x.wav, both moved to S3 a day ago.
func (r *rig) twins() (one, other track.ID, old []byte) {
	r.Helper()
	old = content(1, 100)
	one, other = r.add("x.wav", old), r.insert("x.wav")
	r.run(r.upload(), job())
	r.Exec(`UPDATE track_migrations SET finished_at = now() - interval '1 day'`)
	return one, other, old
}

// claimBack begins the rollback of one track.
func (r *rig) claimBack(id track.ID) track.Lease {
	r.Helper()
	claims, err := r.Store.Claim(r.Context(), track.ClaimSpec{
		Direction: track.ToLocal, Token: track.NewID(), For: time.Hour, Limit: 1, Selection: track.Selection{TrackIDs: []track.ID{id}},
	})
	if err != nil || len(claims.Leases) != 1 {
		r.Fatalf("%d leases, %v", len(claims.Leases), err)
	}
	return claims.Leases[0]
}

// purgeBeside purges the copy of one track; others act by until at each of its moments.
func (r *rig) purgeBeside(only track.ID, until func(moment int)) migrate.Purged {
	r.Helper()
	files := removals{r.Disk, func() error { until(2); return nil }}
	did, err := migrate.Purger{Purges: pausedPurges{r.Store, only, until}, Files: files, Bucket: r.S3, Found: func(migrate.Finding) {}}.Purge(r.Context(), time.Hour)
	if err != nil {
		r.Fatal(err)
	}
	return did
}

// pausedPurges lets one copy be purged, and others act before the mark, and after it.
type pausedPurges struct {
	*pgstore.Store
	only  track.ID
	until func(moment int)
}

func (p pausedPurges) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return p.just(p.Store.Purgeable(ctx, grace))
}

func (p pausedPurges) Unfinished(ctx context.Context) iter.Seq2[track.Copies, error] {
	return p.just(p.Store.Unfinished(ctx))
}

func (p pausedPurges) just(leases iter.Seq2[track.Copies, error]) iter.Seq2[track.Copies, error] {
	return func(yield func(track.Copies, error) bool) {
		for l, err := range leases {
			if (err != nil || l.TrackID == p.only) && !yield(l, err) {
				return
			}
		}
	}
}

func (p pausedPurges) Mark(ctx context.Context, doomed []track.DoomedFile, grace time.Duration) ([]bool, error) {
	p.until(0)
	marked, err := p.Store.Mark(ctx, doomed, grace)
	p.until(1)
	return marked, err
}

// removals are files of which each removal begins with a call, and fails if that does.
type removals struct {
	migrate.LocalFiles
	begin func() error
}

func (r removals) RemoveFile(filePath string) error {
	if err := r.begin(); err != nil {
		return err
	}
	return r.LocalFiles.RemoveFile(filePath)
}
