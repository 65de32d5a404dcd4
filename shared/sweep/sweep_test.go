package sweep_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/places"
	"trackstore/shared/sweep"
	"trackstore/shared/track"
)

func TestLostEventsAreFound(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var sent []track.Upload
	for _, backend := range []string{track.S3, track.Local} {
		for range 3 {
			u := r.Ticket(track.ID{}, backend)
			r.put(backend, u.Key)
			sent = append(sent, u)
		}
	}
	waiting := r.Ticket(track.ID{}, track.S3)
	late := r.Ticket(track.ID{}, track.S3)
	r.put(track.S3, late.Key)
	r.Exec("UPDATE track_uploads SET expires_at = now() - interval '1 hour' WHERE id = $1", late.ID)

	if got := r.sweep(); got.Stored != 7 || got.Expired != 0 {
		t.Errorf("%+v", got)
	}
	for _, u := range append(sent, late) {
		if got := r.state(u); got != "stored" {
			t.Errorf("%s: %s", u.Backend, got)
		}
	}
	if got := r.state(waiting); got != "pending" {
		t.Errorf("the one that has time: %s", got)
	}
	if got := r.sweep(); got.Stored != 0 {
		t.Errorf("again: %+v", got)
	}
}

// A dry run tells of pending uploads what the sweep after it does, and changes nothing.
func TestADryRunOverUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, backend := range []string{track.S3, track.Local} {
		r.Ticket(track.ID{}, backend) // has time
		for _, change := range []func(*track.Ticket){
			func(*track.Ticket) {},
			func(u *track.Ticket) { sum := track.NewCRC64NVME(7); u.Checksum = &sum }, // but other bytes come
			func(u *track.Ticket) { u.Size = 7 },
		} {
			r.put(backend, r.Ticket(track.ID{}, backend, change).Key)
		}
		deleted, late := r.Ticket(track.ID{}, backend), r.Ticket(track.ID{}, backend)
		r.put(backend, deleted.Key)
		r.Exec("UPDATE tracks SET deleted_at = now() WHERE id = $1", deleted.TrackID)
		r.Exec("UPDATE track_uploads SET expires_at = now() - interval '1 second' WHERE id = $1", late.ID)
	}
	rows := func() string {
		return r.query(`SELECT jsonb_build_array(
			(SELECT jsonb_agg(t ORDER BY id) FROM tracks t), (SELECT jsonb_agg(u ORDER BY id) FROM track_uploads u),
			(SELECT jsonb_agg(d ORDER BY id) FROM track_discards d))`)
	}
	run := func(dry bool) (did []string, counts sweep.Counts) {
		t.Helper()
		counts, err := sweep.New(r.config).Run(t.Context(), sweep.Options{DryRun: dry, Report: func(a sweep.Action) {
			did = append(did, fmt.Sprintf("%s %s %s: %s", a.Do, a.Backend, a.Key, a.Why))
		}})
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(did)
		counts.Seconds, counts.DryRun = 0, false
		return did, counts
	}
	before := rows()
	would, wouldCount := run(true)
	if diff := cmp.Diff(before, rows()); diff != "" {
		t.Errorf("the dry run changed rows: %s", diff)
	}
	did, count := run(false)
	if diff := cmp.Diff(would, did); diff != "" {
		t.Errorf("what it would do, and did: %s", diff)
	}
	if want := (sweep.Counts{Stored: 2, Refused: 4, Aborted: 2, Expired: 2, Done: true}); count != want || wouldCount != want {
		t.Errorf("would: %+v, did: %+v", wouldCount, count)
	}
}

func TestWhatNothingCameForExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	multipart := func(t *track.Ticket) { t.Method, t.PartSize = track.MethodMultipart, track.MinPartSize }
	for _, backend := range []string{track.S3, track.Local} {
		single, parts := r.Ticket(track.ID{}, backend), r.Ticket(track.ID{}, backend, multipart)
		id, err := r.Backend(backend).CreateMultipart(t.Context(), parts.Key, "audio/wav", nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Store.BeginMultipart(t.Context(), parts.ID, id); err != nil {
			t.Fatal(err)
		}
		r.Exec("UPDATE track_uploads SET expires_at = now() - interval '1 second' WHERE id IN ($1, $2)", single.ID, parts.ID)

		if got := r.sweep(); got.Expired != 2 || got.Stored != 0 {
			t.Errorf("%s: %+v", backend, got)
		}
		for _, u := range []track.Upload{single, parts} {
			if got := r.state(u); got != "expired" {
				t.Errorf("%s: %s", backend, got)
			}
			if got := r.query("SELECT status FROM tracks WHERE id = $1", u.TrackID); got != "failed" {
				t.Errorf("%s: a new track without a file is %s", backend, got)
			}
		}
		if _, err := r.Backend(backend).ListParts(t.Context(), parts.Key, id); err == nil {
			t.Errorf("%s: the multipart upload is still there", backend)
		}
		// What nothing came for is forgotten after the grace.
		r.Exec("UPDATE track_uploads SET finished_at = finished_at - $1::interval", grace)
		r.Exec("UPDATE track_discards SET discarded_at = discarded_at - $1::interval", grace)
		r.sweep()
		if !r.isGone(backend, single.Key) || r.state(single) != "expired" {
			t.Errorf("%s: not over after the grace, or %s", backend, r.state(single))
		}
	}
}

func TestStaleMultipartUploads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	multipart := func(t *track.Ticket) { t.Method, t.PartSize = track.MethodMultipart, track.MinPartSize }
	begin := func(backend, key string) string {
		id, err := r.Backend(backend).CreateMultipart(t.Context(), key, "audio/wav", nil)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	type begun struct{ backend, key, id string }
	stale, used := map[string]begun{}, map[string]begun{}
	for _, backend := range []string{track.S3, track.Local} {
		add := func(in map[string]begun, name, key string) begun {
			b := begun{backend, key, begin(backend, key)}
			in[backend+": "+name] = b
			return b
		}
		pending, unbegun := r.Ticket(track.ID{}, backend, multipart), r.Ticket(track.ID{}, backend, multipart)
		mine := add(used, "of a pending upload", pending.Key)
		if _, err := r.Store.BeginMultipart(t.Context(), pending.ID, mine.id); err != nil {
			t.Fatal(err)
		}
		add(used, "of a pending upload that knows it not yet", unbegun.Key)
		add(stale, "a second one of a pending upload", pending.Key)
		add(stale, "of an upload that nobody knows", track.UploadKey(track.NewID(), track.NewID(), "x.wav"))
	}
	leased, free := track.NewID(), track.NewID()
	used["of a lease"] = begun{track.S3, track.MigratedKey(leased, 1, 1, "x.wav"), ""}
	stale["of a migration that is over"] = begun{track.S3, track.MigratedKey(free, 1, 1, "x.wav"), ""}
	for id, until := range map[track.ID]string{leased: "1 minute", free: "-1 minute"} {
		r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, lease_token, lease_expires_at)
			VALUES ($1, 'to_s3', 1, 'leased', $1, now() + $2::interval)`, id, until)
	}
	for _, in := range []map[string]begun{used, stale} {
		for name, b := range in {
			if b.id == "" {
				b.id = begin(b.backend, b.key)
				in[name] = b
			}
		}
	}
	if got := r.sweep(); got.Multiparts != 0 {
		t.Errorf("none is old enough: %+v", got)
	}
	r.config.UploadTTL = time.Nanosecond
	if got := r.dryRun(); len(got) != len(stale) {
		t.Errorf("a dry run says %q", got)
	}
	if got := r.sweep(); got.Multiparts != len(stale) {
		t.Errorf("%+v, want %d", got, len(stale))
	}
	for name, b := range used {
		if _, err := r.Backend(b.backend).ListParts(t.Context(), b.key, b.id); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, b := range stale {
		if _, err := r.Backend(b.backend).ListParts(t.Context(), b.key, b.id); err == nil {
			t.Errorf("%s is still there", name)
		}
	}
}

func TestDiscardsGoAfterTheGrace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := track.NewID()
	for _, backend := range []string{track.S3, track.Local} {
		r.put(backend, "uploads/old.wav")
		r.put(backend, "uploads/old.wav.bak") // a longer key is another
		r.put(backend, "uploads/young.wav")
		r.discard(id, backend, "uploads/old.wav", grace+time.Minute)
		r.discard(id, backend, "uploads/young.wav", grace-time.Minute)
		r.discard(id, backend, "uploads/absent.wav", grace+time.Minute)
	}
	want := []string{
		"remove local uploads/absent.wav", "remove local uploads/old.wav", "remove s3 uploads/absent.wav", "remove s3 uploads/old.wav",
	}
	if diff := cmp.Diff(want, r.dryRun()); diff != "" {
		t.Errorf("a dry run: %s", diff)
	}
	if got := r.query("SELECT count(*) FROM track_discards WHERE removed_at IS NOT NULL"); got != "0" || !r.has(track.S3, "uploads/old.wav") {
		t.Errorf("a dry run marked %s notes, or removed bytes", got)
	}
	if got := r.sweep(); got.Removed != 4 {
		t.Errorf("%+v", got)
	}
	for _, backend := range []string{track.S3, track.Local} {
		if r.has(backend, "uploads/old.wav") || !r.isGone(backend, "uploads/old.wav") || !r.isGone(backend, "uploads/absent.wav") {
			t.Errorf("%s: what is due stays", backend)
		}
		if !r.has(backend, "uploads/old.wav.bak") || !r.has(backend, "uploads/young.wav") || r.isGone(backend, "uploads/young.wav") {
			t.Errorf("%s: more than what is due went", backend)
		}
	}
	if got := r.sweep(); got.Removed != 0 {
		t.Errorf("again: %+v", got)
	}
	r.Exec("UPDATE track_discards SET gone_at = gone_at - $1::interval", grace)
	r.sweep()
	if got := r.query("SELECT count(*) FROM track_discards"); got != "2" {
		t.Errorf("%s notes are kept", got)
	}
}

func TestWhatARowNamesStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	shared := map[string]string{ // the discard's path, and how another row writes it
		"same.wav":                  "same.wav",
		"relative.wav":              filepath.Join(r.Root, "relative.wav"),
		r.Root + "/absolute.wav":    "absolute.wav",
		"./unclean//down/../up.wav": "unclean/up.wav",
		"detour.wav":                "other/../detour.wav",
		"album/1.wav":               "moved/1.wav", // through a link to the folder
		"original.wav":              "duplicate of it.wav",
	}
	for link, target := range map[string]string{"moved": "album", "duplicate of it.wav": "original.wav"} {
		if err := os.Symlink(target, filepath.Join(r.Root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for path, other := range shared {
		rel, err := filepath.Rel(r.Root, filepath.Join(r.Root, strings.TrimPrefix(path, r.Root)))
		if err != nil {
			t.Fatal(err)
		}
		r.put(track.Local, rel)
		r.Track("", other)
		r.discard(track.NewID(), track.Local, path, grace+time.Hour)
	}
	r.put(track.S3, "tracks/shared.wav")
	r.Track("tracks/shared.wav", "")
	r.discard(track.NewID(), track.S3, "tracks/shared.wav", grace+time.Hour)

	pending := r.Ticket(track.ID{}, track.S3)
	r.discard(pending.TrackID, track.S3, pending.Key, grace+time.Hour)

	// The copy that a migration left, while a rollback is about to use it.
	moved := r.Track("tracks/moved.wav", "moved.wav")
	r.put(track.Local, "moved.wav")
	r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, lease_token, lease_expires_at)
		VALUES ($1, 'to_local', 1, 'leased', $1, now() + interval '1 minute')`, moved)
	r.discard(moved, track.Local, "moved.wav", grace+time.Hour)

	// The copy that a migration left, before a purge has compared the object.
	unpurged := r.Track("tracks/unpurged.wav", "unpurged.wav")
	r.put(track.Local, "unpurged.wav")
	r.Exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, storage_key, size, crc64nvme, finished_at)
		VALUES ($1, 'to_s3', 1, 'migrated', 'tracks/unpurged.wav', 1, repeat('0', 16), now() - $2::interval)`, unpurged, 2*grace)
	r.discard(track.NewID(), track.Local, "unpurged.wav", grace+time.Hour)

	// A track that is deleted keeps its bytes for a grace of its own.
	r.put(track.S3, "tracks/deleted.wav")
	r.put(track.Local, "deleted.wav")
	for _, id := range []track.ID{r.Track("tracks/deleted.wav", ""), r.Track("", "./deleted.wav")} {
		r.Exec("UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1", id, grace-time.Hour)
	}
	r.discard(track.NewID(), track.S3, "tracks/deleted.wav", grace+time.Hour)
	r.discard(track.NewID(), track.Local, "deleted.wav", grace+time.Hour)

	if got := r.dryRun(); len(got) != 13 {
		t.Errorf("a dry run says %q", got)
	}
	if got := r.sweep(); got.Removed != 0 || got.Kept != 13 {
		t.Errorf("%+v", got)
	}
	if got := r.query("SELECT count(*) FROM track_discards"); got != "0" {
		t.Errorf("%s notes are left", got)
	}
	for path := range shared {
		if _, err := r.Disk.OpenFile(path); err != nil {
			t.Error(err)
		}
	}
	for _, p := range []place{
		{track.S3, "tracks/shared.wav"}, {track.S3, "tracks/deleted.wav"},
		{track.Local, "moved.wav"}, {track.Local, "unpurged.wav"}, {track.Local, "deleted.wav"},
	} {
		if !r.has(p.backend, p.key) {
			t.Errorf("%v is gone, and a row names it", p)
		}
	}
}

// Whoever names the file by a plain path looks for a mark on that.
func TestFilesGoByTheirPlainPaths(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for link, target := range map[string]string{"link.wav": "0.wav", "dir": "."} {
		if err := os.Symlink(target, filepath.Join(r.Root, link)); err != nil {
			t.Fatal(err)
		}
	}
	for i, path := range []string{"link.wav", "dir/1.wav", "x/../2.wav", filepath.Join(r.Root, "dir/3.wav")} {
		r.put(track.Local, fmt.Sprintf("%d.wav", i))
		r.discard(track.NewID(), track.Local, path, grace+time.Hour)
	}
	r.config.Backends = map[string]sweep.Backend{track.Local: markedBackend{r.Disk, r}}
	r.sweep()
	r.sweep()
	for i := range 4 {
		if r.has(track.Local, fmt.Sprintf("%d.wav", i)) {
			t.Errorf("%d.wav is there", i)
		}
	}
	if _, err := os.Lstat(filepath.Join(r.Root, "link.wav")); err == nil {
		t.Error("a link that leads nowhere is left")
	}
	if got := r.query("SELECT count(*) FROM track_discards WHERE gone_at IS NULL"); got != "0" {
		t.Errorf("%s notes are not settled", got)
	}
}

// markedBackend is the disk, from which nothing is removed whose plain path is not marked.
type markedBackend struct {
	sweep.Backend
	*rig
}

func (b markedBackend) Remove(ctx context.Context, key string, mayGo func(context.Context) error) error {
	if plain, err := b.Disk.PlainPaths(key); err == nil &&
		b.query("SELECT count(*) FROM track_discards WHERE storage_key = ANY ($1) AND removed_at IS NOT NULL", plain) == "0" {
		b.T.Errorf("%q goes, and %q is not marked", key, plain)
	}
	return b.Disk.Remove(ctx, key, mayGo)
}

func TestPathsOutsideTheRootAreNotTouched(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	outside := filepath.Join(t.TempDir(), "x.wav")
	if err := os.WriteFile(outside, wav, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(r.Root, "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{outside, "../x.wav", "folder"} {
		r.discard(track.NewID(), track.Local, path, grace+time.Hour)
	}
	if got := r.sweep(); got.Removed != 0 || got.Kept != 3 {
		t.Errorf("%+v", got)
	}
	if _, err := os.Stat(outside); err != nil {
		t.Error(err)
	}
}

// A file stays that a track on disk needs by another way, and its note goes.
func TestAFileThatIsNeededByAnotherWayStays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"a/hard.wav", "a/mounted.wav", "a/alone.wav"} {
		r.put(track.Local, key)
		r.discard(track.NewID(), track.Local, key, grace+time.Hour)
	}
	want := 1
	r.Exec("INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', 'linked.wav')", track.NewID())
	must(os.Link(filepath.Join(r.Root, "a/hard.wav"), filepath.Join(r.Root, "linked.wav")))
	if os.Getuid() == 0 && runtime.GOOS == "linux" {
		must(os.Mkdir(filepath.Join(r.Root, "b"), 0o755))
		testenv.Over(t, filepath.Join(r.Root, "a"), filepath.Join(r.Root, "b"))
		r.Exec("INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $1, 'x', 'b/mounted.wav')", track.NewID())
		want = 2
	}
	if got := r.sweep(); got.Removed != 3-want || got.Kept != want {
		t.Errorf("%+v", got)
	}
	if !r.has(track.Local, "a/hard.wav") || r.has(track.Local, "a/mounted.wav") != (want == 2) || r.has(track.Local, "a/alone.wav") {
		t.Error("not the right files went")
	}
	if got := r.sweep(); got.Removed+got.Kept != 0 {
		t.Errorf("a second sweep: %+v", got)
	}
}

// A note of an object that lies in a bucket of earlier is acted upon there.
func TestObjectsGoFromTheBucketThatTheirNotesName(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	earlier := r.S3
	r.put(track.S3, "uploads/x")
	r.S3 = stores.OpenS3(t, testenv.S3(t))
	r.put(track.S3, "uploads/x")
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, storage_bucket, reason, discarded_at)
		VALUES ($1, 's3', 'uploads/x', $2, 'replaced', now() - interval '30 days')`, track.NewID(), earlier.Bucket())
	r.config.Backends = map[string]sweep.Backend{track.S3: r.S3}
	if got := r.sweep(); got.Removed != 0 || got.Kept != 1 {
		t.Errorf("a sweep that knows of no other bucket: %+v", got)
	}
	r.config.Elsewhere = places.Elsewhere[sweep.Backend](r.S3)
	if got := r.sweep(); got.Removed != 1 || !r.has(track.S3, "uploads/x") {
		t.Errorf("%+v, or what has the same key in another bucket is gone", got)
	}
	if _, err := earlier.Head(t.Context(), "uploads/x", ""); !errors.Is(err, track.ErrNotFound) {
		t.Errorf("in the bucket of the note: %v", err)
	}
}

func TestAMissingDiskIsNotAMissingFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.put(track.Local, "x.wav")
	r.put(track.S3, "uploads/x.wav")
	r.discard(track.NewID(), track.Local, "x.wav", grace+time.Hour)
	r.discard(track.NewID(), track.S3, "uploads/x.wav", grace+time.Hour)
	waiting := r.Ticket(track.ID{}, track.Local)
	r.Exec("UPDATE track_uploads SET expires_at = now() - interval '1 second'")
	if err := os.Rename(r.Root, r.Root+".away"); err != nil {
		t.Fatal(err)
	}
	if got := r.sweep(); got.Removed != 1 {
		t.Errorf("%+v", got)
	}
	if r.isGone(track.Local, "x.wav") || r.state(waiting) != "pending" {
		t.Errorf("settled without the disk: %s", r.state(waiting))
	}
	if err := os.Rename(r.Root+".away", r.Root); err != nil {
		t.Fatal(err)
	}
	if got := r.sweep(); got.Removed != 1 || got.Expired != 1 || r.has(track.Local, "x.wav") {
		t.Errorf("%+v", got)
	}
}

func TestDeletedTracks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	type bytes struct{ backend, key string }
	make := func() (id track.ID, all []bytes) {
		id = track.NewID()
		all = []bytes{
			{track.S3, track.UploadKey(id, track.NewID(), "now.wav")},
			{track.Local, "old/" + id.String() + ".wav"},                 // the copy that the migration left
			{track.S3, track.UploadKey(id, track.NewID(), "orphan.wav")}, // of a form that was sent twice, say
			{track.S3, track.MigratedKey(id, 1, 1, "orphan.wav")},        // of a flip that came too late
			{track.Local, track.UploadKey(id, track.NewID(), "orphan.wav")},
			{track.Local, track.RestoredPath(id, 3, "orphan.wav")},
		}
		for _, b := range all {
			r.put(b.backend, b.key)
		}
		r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
			VALUES ($1, $2, 'x', $3, 's3', $4)`, id, stores.Owner, all[1].key, all[0].key)
		return id, all
	}
	long, longBytes := make()
	short, shortBytes := make()
	live, liveBytes := make()
	r.Exec("UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1", long, grace+time.Minute)
	r.Exec("UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1", short, grace-time.Minute)
	_ = live
	// What lies in a deleted track's folders has a grace of its own where it was written later.
	want := []string{"remove local " + longBytes[1].key, "remove s3 " + longBytes[0].key}
	if diff := cmp.Diff(want, r.dryRun()); diff != "" {
		t.Errorf("a dry run: %s", diff)
	}
	r.config.Store = old{r.Store}
	if got := r.query("SELECT count(*) FROM track_discards"); got != "0" {
		t.Errorf("a dry run noted %s discards", got)
	}
	if got := r.sweep(); got.Deleted != 1 || got.Removed != len(longBytes) {
		t.Errorf("%+v", got)
	}
	for _, b := range longBytes {
		if r.has(b.backend, b.key) {
			t.Errorf("%v is still there", b)
		}
	}
	for _, b := range append(shortBytes, liveBytes...) {
		if !r.has(b.backend, b.key) {
			t.Errorf("%v is gone", b)
		}
	}
	if got := r.sweep(); got.Deleted != 0 || got.Removed != 0 {
		t.Errorf("again: %+v", got)
	}
	// Undeleted before its bytes went, and deleted once more.
	r.Exec("UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1", short, grace+time.Minute)
	faulty := r.config
	faulty.Backends = map[string]sweep.Backend{} // nothing can be removed
	if _, err := sweep.New(faulty).Run(t.Context(), sweep.Options{}); err != nil {
		t.Fatal(err)
	}
	r.Exec("UPDATE tracks SET deleted_at = NULL WHERE id = $1", short)
	r.sweep()
	if !r.has(shortBytes[0].backend, shortBytes[0].key) {
		t.Error("an undeleted track lost its bytes")
	}
	r.Exec("UPDATE tracks SET deleted_at = now() - $2::interval WHERE id = $1", short, grace+time.Minute)
	r.sweep()
	for _, b := range shortBytes {
		if r.has(b.backend, b.key) {
			t.Errorf("%v is still there", b)
		}
	}
}

// old makes whatever is noted due.
type old struct{ sweep.Store }

func (s old) NoteDiscards(ctx context.Context, discards []track.Discard) (int64, error) {
	for i := range discards {
		if discards[i].Reason == "orphaned" {
			discards[i].DiscardedAt = discards[i].DiscardedAt.Add(-grace)
		}
	}
	return s.Store.NoteDiscards(ctx, discards)
}

func TestManyAndTwoAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const many = 450 // more than two statements' worth
	r.Exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason, discarded_at)
		SELECT gen_random_uuid(), 'local', 'uploads/' || n, 'replaced', now() - $1::interval FROM generate_series(1, $2) n`,
		grace+time.Minute, many)
	var group sync.WaitGroup
	for range 3 {
		group.Go(func() {
			if _, err := sweep.New(r.config).Run(context.WithoutCancel(t.Context()), sweep.Options{}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := r.query("SELECT count(*) FROM track_discards WHERE gone_at IS NOT NULL"); got != "450" {
		t.Errorf("%s are gone", got)
	}
}

func TestTimeRunsOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.discard(track.NewID(), track.Local, "x.wav", grace+time.Minute)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now().Add(time.Hour))
	defer cancel()
	counts, err := sweep.New(r.config).Run(ctx, sweep.Options{})
	if err != nil || !counts.Done {
		t.Errorf("%+v, %v", counts, err)
	}
	cancel()
	counts, err = sweep.New(r.config).Run(ctx, sweep.Options{})
	if err == nil || counts.Done {
		t.Errorf("%+v, %v", counts, err)
	}
}
