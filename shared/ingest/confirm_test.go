package ingest_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/minio/crc64nvme"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/track"
)

func crc(b []byte) uint64 {
	h := crc64nvme.New()
	h.Write(b)
	return h.Sum64()
}

func TestAnEventMakesTheTrackPointAtItsFile(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, backend := range []string{track.S3, track.Local} {
		u := r.ticket(track.ID{}, backend, wav(1))
		if got := r.track(u.TrackID); got.Status != "uploading" || got.Version != 1 {
			t.Fatalf("%s: a new track is %+v", backend, got)
		}
		r.send(u, wav(1))
		if failed := r.handle(sqsEvent(s3Event(r.bucketOf(u), u.Key))); failed != nil {
			t.Errorf("%s: to be tried again: %v", backend, failed)
		}
		want := row{Status: "ready", Backend: backend, Format: "wav", Type: "audio/wav", Size: 8000, Version: 2}
		if backend == track.S3 {
			want.Bucket, want.Key, want.Pinned = r.Bucket.Name, u.Key, true
		} else {
			want.Path = u.Key
		}
		if diff := cmp.Diff(want, r.track(u.TrackID)); diff != "" {
			t.Errorf("%s: %s", backend, diff)
		}
		if got := r.state(u); got != "stored" {
			t.Errorf("%s: the upload is %s", backend, got)
		}
	}
	if got := r.discards(); len(got) > 0 {
		t.Errorf("nothing was given up, but %v", got)
	}
	if got := r.metrics.String(); !strings.Contains(got, `"UploadsStored":1`) || !strings.Contains(got, `"EventLag":6`) {
		t.Errorf("metrics: %s", got)
	}
}

func TestEveryShapeOfEvent(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	escaped := func(key string) string { return strings.NewReplacer("/", "%2F", "-", "%2D").Replace(key) }
	for name, event := range map[string]func(bucket, key string) []byte{
		"S3":                        func(b, k string) []byte { return s3Event(b, k) },
		"S3, escaped":               func(b, k string) []byte { return s3Event(b, escaped(k)) },
		"S3, prefixed name":         func(b, k string) []byte { return s3EventNamed("s3:ObjectCreated:CompleteMultipartUpload", b, k) },
		"SQS with S3":               func(b, k string) []byte { return sqsEvent(s3Event(b, k)) },
		"SQS with S3, beside other": func(b, k string) []byte { return sqsEvent(s3Event(b, "tracks/x", k, "unknown"), s3Event("b", k)) },
		"SQS with EventBridge":      func(b, k string) []byte { return sqsEvent(bridgeEvent(b, k)) },
		"EventBridge":               bridgeEvent,
	} {
		u := r.ticket(track.ID{}, track.S3, wav(1))
		r.send(u, wav(1))
		if failed := r.handle(event(r.Bucket.Name, u.Key)); failed != nil || r.state(u) != "stored" {
			t.Errorf("%s: %s, to be tried again %v", name, r.state(u), failed)
		}
	}
}

func TestEventsThatChangeNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	r.send(u, wav(1))
	escaped := strings.ReplaceAll(u.Key, "/", "%2F")
	for name, event := range map[string][]byte{
		"a test event":                []byte(`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2026-01-01T00:00:00.000Z","Bucket":"b"}`),
		"no records":                  []byte(`{"Records":[]}`),
		"another bucket":              s3Event("another", u.Key),
		"the disk's bucket":           s3Event("local-disk", u.Key),
		"another name":                s3EventNamed("ObjectRemoved:Delete", r.Bucket.Name, u.Key),
		"another name, bad key":       s3EventNamed("ObjectRemoved:Delete", r.Bucket.Name, "%zz"),
		"a key escaped twice":         s3Event(r.Bucket.Name, strings.ReplaceAll(escaped, "%", "%25")),
		"EventBridge, escaped":        bridgeEvent(r.Bucket.Name, escaped),
		"EventBridge, another detail": bytes.Replace(bridgeEvent(r.Bucket.Name, u.Key), []byte("Object Created"), []byte("Object Deleted"), 1),
		"an unknown key":              s3Event(r.Bucket.Name, track.UploadKey(track.NewID(), track.NewID(), "x.wav")),
		"a migrated key":              s3Event(r.Bucket.Name, track.MigratedKey(u.TrackID, 1, 1, "x.wav")),
		"keys no column takes":        s3Event(r.Bucket.Name, "uploads/%00", "uploads/%ff", "uploads/"+strings.Repeat("x", 1000)),
		"an empty key":                s3Event(r.Bucket.Name, ""),
	} {
		for kind, e := range map[string][]byte{"direct": event, "queued": sqsEvent(event)} {
			if failed := r.handle(e); failed != nil || r.state(u) != "pending" {
				t.Errorf("%s, %s: %s, to be tried again %v", name, kind, r.state(u), failed)
			}
		}
	}
	if got := r.track(u.TrackID); got.Status != "uploading" || got.Version != 1 {
		t.Errorf("the track is %+v", got)
	}
}

func TestWhatCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	r.send(u, wav(1))
	key := s3Event(r.Bucket.Name, u.Key)
	event := sqsEvent(
		[]byte("not JSON"), []byte(`{}`), []byte(`[]`), []byte(`{"Records":[{}]}`), []byte(`{"Records":[1]}`),
		s3Event(r.Bucket.Name, "%zz", u.Key), // only one of its records cannot be read
		[]byte(`{"detail-type":"Object Created","detail":{}}`), sqsEvent(key), nil,
		s3Event(r.Bucket.Name, "tracks/x"),
	)
	want := []string{"m0", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8"}
	if diff := cmp.Diff(want, r.handle(event)); diff != "" {
		t.Error(diff)
	}
	if got := r.state(u); got != "stored" {
		t.Errorf("the record beside the bad one: %s", got)
	}
	for _, bad := range []string{"", "null", "1", `"x"`, "{}", "[]", `{"Records":null}`, `{"Records":{}}`, `{"Records":[{}]}`,
		string(s3Event(r.Bucket.Name, "%zz"))} {
		if _, err := handle(t.Context(), r.Ingester, []byte(bad)); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
}

func TestFilesThatAreNotWhatTheTicketSays(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file, html := wav(1), []byte("<!DOCTYPE html><html><title>RIFF</title></html>")
	sha := sha256.Sum256(file)
	castagnoli := crc32.Checksum(file, crc32.MakeTable(crc32.Castagnoli))
	sums := map[track.Algorithm]track.Checksum{
		track.CRC64NVME: track.NewCRC64NVME(crc(file)),
		track.SHA256:    {Algorithm: track.SHA256, Value: base64.StdEncoding.EncodeToString(sha[:])},
		track.CRC32C:    {Algorithm: track.CRC32C, Value: base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint32(nil, castagnoli))},
	}
	other := slices.Concat(file[:7000], make([]byte, 1000))
	type c struct {
		sent   []byte
		change func(*track.Ticket)
		want   string
	}
	memo, wma := audiotest.M4A(1, 1), []byte("\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9\x00\xaa\x00\x62\xce\x6c")
	unsized := func(t *track.Ticket) { t.Size, t.MaxSize = 0, 8000 }
	cases := map[string]c{
		"as declared":            {file, func(*track.Ticket) {}, "stored"},
		"shorter":                {file[:7999], func(*track.Ticket) {}, "failed size_mismatch"},
		"longer":                 {append(file[:8000:8000], 0), func(*track.Ticket) {}, "failed size_mismatch"},
		"of any size":            {file[:5000], unsized, "stored"},
		"of any size, too large": {append(file[:8000:8000], 0), unsized, "failed size_mismatch"},
		"of any size, empty":     {nil, unsized, "failed size_mismatch"},
		"HTML":                   {html, unsized, "failed not_audio"},
		"a phone's voice memo":   {slices.Concat(memo[:8], []byte("3gp4"), memo[12:]), unsized, "stored"},
		"an audio book":          {slices.Concat(memo[:8], []byte("M4B "), memo[12:]), unsized, "stored"},
		"Windows Media":          {wma, unsized, "failed not_audio"},
		"other audio":            {audiotest.FLAC(1, 1)[:8000], func(*track.Ticket) {}, "stored"}, // what was said of it is a hint
		"FLAC declared and sent": {audiotest.FLAC(1, 1)[:8000], func(t *track.Ticket) { t.Format = track.FLAC }, "stored"},
		"Vorbis under Opus":      {audiotest.OggVorbis(1, 1), func(t *track.Ticket) { t.Format, t.Size = track.Opus, 0 }, "stored"},
	}
	for a, sum := range sums {
		cases[string(a)+" that fits"] = c{file, declared(sum), "stored"}
		cases[string(a)+" that does not"] = c{other, declared(sum), "failed checksum_mismatch"}
	}
	details := map[string]string{"failed size_mismatch": "declared 8000 bytes, the storage has ", "failed checksum_mismatch": "declared ", "failed not_audio": "the bytes are "}
	for _, backend := range []string{track.S3, track.Local} {
		for name, c := range cases {
			u := r.ticket(track.ID{}, backend, file, c.change)
			r.send(u, c.sent)
			got, err := r.Confirm(t.Context(), u.ID)
			if err != nil || len(got) != 1 {
				t.Fatalf("%s, %s: %v, %v", backend, name, got, err)
			}
			row := r.track(u.TrackID)
			why := r.discards()[u.Key]
			unsized := got[0].Size == 0 && got[0].Reason == track.SizeMismatch // "the storage has …"
			if why := details[c.want]; !unsized && !strings.HasPrefix(got[0].Detail, why) || (why == "") != (got[0].Detail == "") {
				t.Errorf("%s, %s: %q, want %q", backend, name, got[0].Detail, why)
			}
			if r.state(u) != c.want || string(got[0].State) != strings.Fields(c.want)[0] {
				t.Errorf("%s, %s: %s, want %s", backend, name, r.state(u), c.want)
			} else if c.want == "stored" && (row.Status != "ready" || why != "") {
				t.Errorf("%s, %s: %+v, discarded %q", backend, name, row, why)
			} else if c.want != "stored" && (row.Status != "failed" || row.Version != 1 || row.Size != 0 || why != backend+" rejected") {
				t.Errorf("%s, %s: %+v, discarded %q", backend, name, row, why)
			}
		}
	}
	if u := r.ticket(track.ID{}, track.S3, nil, func(t *track.Ticket) { t.Format, t.Size = track.Opus, 0 }); true {
		r.send(u, audiotest.OggVorbis(1, 1))
		r.handle(s3Event(r.Bucket.Name, u.Key))
		if got := r.track(u.TrackID); got.Format != "ogg" {
			t.Errorf("the format is what the bytes say: %q", got.Format)
		}
	}
}

func TestBytesThatAreNotThereStayPending(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1))
	if failed := r.handle(sqsEvent(s3Event(r.Bucket.Name, u.Key))); failed != nil {
		t.Errorf("to be tried again: %v", failed)
	}
	got, err := r.Confirm(t.Context(), u.ID, track.NewID())
	if err != nil || len(got) != 1 || got[0].State != track.UploadPending {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReplacements(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := track.NewID()
	// A platform's own track, on disk, with a status that trackstore does not know.
	r.Exec(`ALTER TABLE tracks DROP CONSTRAINT tracks_status_check`)
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, status) VALUES ($1, $2, 'x', '/srv/old.wav', 'live')`, id, stores.Owner)
	steps := []struct {
		backend string
		file    []byte
		want    row
		goes    string // what the step gives up
	}{
		{track.S3, wav(1), row{Backend: track.S3, Bucket: r.Bucket.Name, Size: 8000, Version: 2, Pinned: true}, "/srv/old.wav"},
		{track.S3, wav(2)[:7000], row{Backend: track.S3, Bucket: r.Bucket.Name, Size: 7000, Version: 3, Pinned: true}, "1"},
		{track.Local, wav(3)[:6000], row{Backend: track.Local, Size: 6000, Version: 4}, "2"},
		{track.Local, wav(4)[:5000], row{Backend: track.Local, Size: 5000, Version: 5}, "3"},
		{track.S3, wav(5)[:4000], row{Backend: track.S3, Bucket: r.Bucket.Name, Size: 4000, Version: 6, Pinned: true}, "4"},
	}
	given := map[string]string{}
	keys := []string{""}
	for i, step := range steps {
		u := r.ticket(id, step.backend, step.file)
		keys = append(keys, u.Key)
		before := r.track(id)
		r.send(u, step.file)
		if diff := cmp.Diff(before, r.track(id)); diff != "" {
			t.Errorf("step %d changed the row before it was confirmed: %s", i, diff)
		}
		r.handle(s3Event(r.bucketOf(u), u.Key))
		step.want.Status, step.want.Format, step.want.Type = "live", "wav", "audio/wav"
		if step.backend == track.S3 {
			step.want.Key = u.Key
		} else {
			step.want.Path = u.Key
		}
		if diff := cmp.Diff(step.want, r.track(id)); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
		if i == 0 {
			given[step.goes] = "local replaced"
		} else {
			given[keys[i]] = steps[i-1].backend + " replaced"
		}
		if diff := cmp.Diff(given, r.discards()); diff != "" {
			t.Errorf("step %d: %s", i, diff)
		}
	}
	// A replacement that is refused changes nothing.
	before := r.track(id)
	u := r.ticket(id, track.S3, wav(6))
	r.send(u, []byte("<html>"))
	r.handle(s3Event(r.Bucket.Name, u.Key))
	if diff := cmp.Diff(before, r.track(id)); diff != "" || r.state(u) != "failed size_mismatch" {
		t.Errorf("%s: %s", r.state(u), diff)
	}
}

func TestAReplacedMigratedTrackGivesUpBothCopies(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := track.NewID()
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key)
		VALUES ($1, $2, 'x', 'old.wav', 's3', 'tracks/old.wav')`, id, stores.Owner)
	u := r.ticket(id, track.S3, wav(1))
	r.send(u, wav(1))
	r.handle(s3Event(r.Bucket.Name, u.Key))
	want := map[string]string{"old.wav": "local replaced", "tracks/old.wav": "s3 replaced"}
	if diff := cmp.Diff(want, r.discards()); diff != "" {
		t.Error(diff)
	}
}

func TestDeletedTracksDoNotComeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	marked, gone, refused := r.ticket(track.ID{}, track.S3, wav(1)), r.ticket(track.ID{}, track.S3, wav(1)), r.ticket(track.ID{}, track.S3, wav(1))
	for _, u := range []track.Upload{marked, gone} {
		r.send(u, wav(1))
	}
	r.send(refused, []byte("<html>"))
	r.Exec("UPDATE tracks SET deleted_at = now() WHERE id IN ($1, $2)", marked.TrackID, refused.TrackID)
	r.Exec("DELETE FROM tracks WHERE id = $1", gone.TrackID)
	before := r.track(marked.TrackID)
	r.handle(s3Event(r.Bucket.Name, marked.Key, gone.Key, refused.Key))
	if diff := cmp.Diff(before, r.track(marked.TrackID)); diff != "" {
		t.Error(diff)
	}
	got := []string{r.state(marked), r.state(gone), r.state(refused)}
	if diff := cmp.Diff([]string{"aborted", "aborted", "failed size_mismatch"}, got); diff != "" {
		t.Error(diff)
	}
	folder := "/" + gone.TrackID.String() + "/" // of a row that is gone, whatever else is there
	want := map[string]string{marked.Key: "s3 deleted", gone.Key: "s3 deleted", refused.Key: "s3 rejected",
		"tracks" + folder: "s3 deleted", "uploads" + folder: "s3 deleted", "restored" + folder: "local deleted"}
	noted := r.discards()
	if noted["uploads"+folder] == "local deleted" { // on both backends, under one name
		noted["uploads"+folder] = "s3 deleted"
	}
	if diff := cmp.Diff(want, noted); diff != "" {
		t.Error(diff)
	}
}

func TestSettledUploadsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, state := range []track.UploadState{track.UploadAborted, track.UploadFailed} {
		u := r.ticket(track.ID{}, track.S3, wav(1))
		r.send(u, wav(1))
		r.Exec(`UPDATE track_uploads SET state = $2::text, finished_at = now(),
			reason = CASE $2::text WHEN 'failed' THEN 'not_audio' END WHERE id = $1`, u.ID, string(state))
		r.handle(sqsEvent(s3Event(r.Bucket.Name, u.Key)))
		got, err := r.Confirm(t.Context(), u.ID)
		if err != nil || got[0].State != state || r.track(u.TrackID).Version != 1 {
			t.Errorf("%s: %v, %v", state, got, err)
		}
	}
}

func TestAFormSentTwiceIsPinned(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u := r.ticket(track.ID{}, track.S3, wav(1), func(t *track.Ticket) { t.Method = track.MethodPost })
	r.send(u, wav(1))
	r.handle(s3Event(r.Bucket.Name, u.Key))
	var pinned string
	if err := r.DB.QueryRow(t.Context(), "SELECT storage_version_id FROM tracks WHERE id = $1", u.TrackID).Scan(&pinned); err != nil {
		t.Fatal(err)
	}
	r.send(u, wav(2)) // a form has no condition: this makes another version
	r.handle(s3Event(r.Bucket.Name, u.Key))
	object, err := r.S3.Head(t.Context(), u.Key, pinned)
	if sum, _ := object.Checksum(track.CRC64NVME); err != nil || sum != track.NewCRC64NVME(crc(wav(1))) {
		t.Errorf("the row pins %+v, %v", object, err)
	}
	if latest, err := r.S3.Head(t.Context(), u.Key, ""); err != nil || latest.VersionID == pinned {
		t.Errorf("there is one version only: %v, %v", latest, err)
	}
}

func TestDuplicatesInOneBatch(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	id := track.NewID()
	r.Exec(`INSERT INTO tracks (id, creator_id, title, file_path) VALUES ($1, $2, 'x', 'old.wav')`, id, stores.Owner)
	first, second := r.ticket(id, track.S3, wav(1)), r.ticket(id, track.Local, wav(2)[:7000])
	r.send(first, wav(1))
	r.send(second, wav(2)[:7000])
	one, two := s3Event(r.Bucket.Name, first.Key), s3Event(r.Disk.Bucket(), second.Key)
	if failed := r.handle(sqsEvent(two, one, one, two, one)); failed != nil {
		t.Errorf("to be tried again: %v", failed)
	}
	want := row{Status: "ready", Backend: track.Local, Path: second.Key, Format: "wav", Type: "audio/wav", Size: 7000, Version: 3}
	if diff := cmp.Diff(want, r.track(id)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"old.wav", first.Key}, slices.Sorted(maps.Keys(r.discards()))); diff != "" {
		t.Error(diff)
	}
}
