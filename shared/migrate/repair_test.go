package migrate_test

import (
	"bytes"
	"maps"
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// strayed is a library of moved tracks whose objects somebody has meddled with, each in another way.
type strayed struct {
	*rig
	tracks map[string]track.ID
}

func newStrayed(t *testing.T) *strayed {
	r := &strayed{newRig(t), map[string]track.ID{}}
	for _, name := range []string{"sound", "removed", "removed twice", "overwritten", "copied", "copied wrong", "gone"} {
		r.tracks[name] = r.add(name+".wav", []byte("the bytes of "+name))
	}
	r.run(r.upload(), job())
	client := r.Bucket.Client()
	object := func(name string) (key, version string) {
		return r.one(`SELECT storage_key FROM tracks WHERE id = $1`, r.tracks[name]), r.one(`SELECT storage_version_id FROM tracks WHERE id = $1`, r.tracks[name])
	}
	put := func(name, content string) {
		key, _ := object(name)
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &r.Bucket.Name, Key: &key, Body: bytes.NewReader([]byte(content))}); err != nil {
			t.Fatal(err)
		}
	}
	remove := func(name string, pinned bool) {
		key, version := object(name)
		in := &s3.DeleteObjectInput{Bucket: &r.Bucket.Name, Key: &key}
		if pinned {
			in.VersionId = &version
		}
		if _, err := client.DeleteObject(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	remove("removed", false) // as by aws s3 rm
	remove("removed twice", false)
	remove("removed twice", false)
	put("overwritten", "somebody's later write")
	remove("copied", true) // as in a bucket that was restored: the same bytes, by another version
	put("copied", "the bytes of copied")
	remove("copied wrong", true)
	put("copied wrong", "other bytes")
	remove("gone", true)
	return r
}

// found collects findings by the names of the tracks.
func (r *strayed) found(into map[string]string) func(migrate.Finding) {
	return func(f migrate.Finding) {
		for name, id := range r.tracks {
			if id == f.TrackID && f.Kind != migrate.UnpinnedVersion { // an audit names the later write, too
				into[name] = f.Kind
			}
		}
	}
}

func TestRepair(t *testing.T) {
	t.Parallel()
	r := newStrayed(t)
	repair := func(dryRun bool) (migrate.Repaired, map[string]string, []string) {
		found, mended := map[string]string{}, []string{}
		result, err := migrate.Repairer{
			Repairs: r.Store, Files: r.Disk, Bucket: r.S3, DryRun: dryRun, Found: r.found(found),
			Mended: func(c track.Copies, _ string) {
				for name, id := range r.tracks {
					if id == c.TrackID {
						mended = append(mended, name)
					}
				}
			},
		}.Repair(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(mended)
		return result, found, mended
	}
	remaining := map[string]string{"overwritten": migrate.NotCurrent, "copied wrong": migrate.ObjectDiffers, "gone": migrate.ObjectMissing}
	for _, dryRun := range []bool{true, true, false} { // a dry run changes nothing
		result, found, mended := repair(dryRun)
		if diff := cmp.Diff(remaining, found); diff != "" {
			t.Errorf("dry run %t, findings: %s", dryRun, diff)
		}
		if want := []string{"copied", "removed", "removed twice"}; !slices.Equal(mended, want) || result.Unmarked != 2 || result.Repinned != 1 || result.Findings != 3 {
			t.Errorf("dry run %t: mended %q, %+v", dryRun, mended, result)
		}
	}
	if result, found, mended := repair(false); len(mended) != 0 || !maps.Equal(found, remaining) || result.Checked != 7 {
		t.Errorf("once more: %+v, %v, %q", result, found, mended)
	}
	// What is mended plays, by the key alone, too.
	for _, name := range []string{"sound", "removed", "removed twice", "copied"} {
		key := r.one(`SELECT storage_key FROM tracks WHERE id = $1`, r.tracks[name])
		object, err := r.S3.Head(t.Context(), key, "")
		if err != nil || object.VersionID != r.one(`SELECT storage_version_id FROM tracks WHERE id = $1`, r.tracks[name]) {
			t.Errorf("%s: %+v, %v", name, object, err)
		}
	}
}

// A key that was removed or written over is found by verify and audit, and the purge keeps the local copy.
func TestWhatIsNotCurrentIsFound(t *testing.T) {
	t.Parallel()
	r := newStrayed(t)
	byVerify, byAudit, byPurge := map[string]string{}, map[string]string{}, map[string]string{}
	if _, err := (migrate.Verifier{Records: r.Store, Files: r.Disk, Bucket: r.S3, Found: r.found(byVerify)}).Verify(t.Context(), 1, track.ID{}); err != nil {
		t.Fatal(err)
	}
	if _, err := (migrate.Auditor{Uses: r.Store, Files: r.Disk, Bucket: r.S3, Found: r.found(byAudit)}).Audit(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	if _, err := (migrate.Purger{Purges: r.Store, Files: r.Disk, Bucket: r.S3, Found: r.found(byPurge)}).Purge(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"removed", "removed twice", "overwritten"} {
		if byVerify[name] != migrate.NotCurrent || byAudit[name] != migrate.NotCurrent || byPurge[name] != migrate.NotCurrent {
			t.Errorf("%s: verify says %q, audit %q, purge %q", name, byVerify[name], byAudit[name], byPurge[name])
		}
		if _, err := r.Disk.OpenFile(name + ".wav"); err != nil {
			t.Errorf("%s: its local copy: %v", name, err)
		}
	}
	if _, err := r.Disk.OpenFile("sound.wav"); err == nil || byVerify["sound"] != "" {
		t.Errorf("the sound one is kept: %v", byVerify)
	}
}
