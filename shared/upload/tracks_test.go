package upload_test

import (
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestADeletedTrackIsNotThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		id := s.stored(audiotest.WAV(1, 1)).str("track_id")
		path := "/v1/tracks/" + id
		before := s.sql("SELECT to_jsonb(t) - 'deleted_at' FROM tracks t WHERE id = $1", id)
		s.call("DELETE", path, nil).want(204)
		s.call("DELETE", path, nil).refused(404, upload.NotFound)
		s.call("GET", path, nil).refused(404, upload.NotFound)
		s.call("GET", path+"/audio", nil).refused(404, upload.NotFound)
		s.call("POST", "/v1/uploads", file(1, "title", nil, "track_id", id)).refused(404, upload.NotFound)
		if after := s.sql("SELECT to_jsonb(t) - 'deleted_at' FROM tracks t WHERE id = $1 AND deleted_at IS NOT NULL", id); after != before {
			t.Errorf("the row was\n%s\nand is\n%s", before, after)
		}
	})
}

// Whoever gives a track up while its file is on the way does not have to abort that, too.
func TestADeletedTracksOpenUploadsGoWithIt(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		id := s.stored(audiotest.WAV(1, 1)).str("track_id")
		o := s.open(100, "title", nil, "track_id", id, "method", "multipart")
		path := "/v1/uploads/" + o.str("upload_id")
		s.as(track.NewID()).call("DELETE", "/v1/tracks/"+id, nil).refused(404, upload.NotFound)
		s.call("POST", path+"/parts", answer{"part_numbers": []int{1}}).want(200)
		s.call("POST", "/v1/uploads", file(100)).refused(429, upload.TooManyPending)

		s.call("DELETE", "/v1/tracks/"+id, nil).want(204)
		if u := s.call("GET", path, nil).want(200); u["state"] != "aborted" {
			t.Errorf("the upload is %v", u)
		}
		s.call("POST", path+"/parts", answer{"part_numbers": []int{1}}).refused(409, upload.NotPending)
		s.open(100)
		if n := s.sql("SELECT count(*) FROM track_discards d JOIN track_uploads u USING (backend, storage_key) WHERE u.id = $1", o.str("upload_id")); n != "1" {
			t.Errorf("what may still come is noted %s times", n)
		}
	}, maxPending(1))
}

func TestDownloadsBearTheTitle(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		id := s.stored(audiotest.WAV(1, 1)).str("track_id")
		for title, want := range map[string]string{
			"Nocturne":                 "Nocturne.wav",
			`A "b" \ c/d`:              "A _b_ _ c_d.wav",
			"Für 猫 100%; x=1":          "Für 猫 100%; x=1.wav",
			"..":                       id + ".wav",
			"a\r\nX-Evil: 1":           "a__X-Evil_ 1.wav",
			strings.Repeat("😀", 255):   strings.Repeat("😀", 255) + ".wav",
			"take 3 (final).wav":       "take 3 (final).wav",
			"Take 4.WAVE":              "Take 4.WAVE",
			"take 5.mp3":               "take 5.mp3.wav", // which it is not
			".wav":                     "wav.wav",
			"spaces at the end   . . ": "spaces at the end.wav",
		} {
			s.sql("UPDATE tracks SET title = $2 WHERE id = $1", id, title)
			r := s.call("GET", "/v1/tracks/"+id+"/audio?download=1", nil)
			if r.status != http.StatusFound || len(r.body) != 0 {
				t.Fatalf("%q: %d %s", title, r.status, r.body)
			}
			got := (&stage{t: t}).call("GET", r.header.Get("Location"), nil)
			kind, params, err := mime.ParseMediaType(got.header.Get("Content-Disposition"))
			if got.status != 200 || err != nil || kind != "attachment" || params["filename"] != want {
				t.Errorf("%q: %d %s %v", title, got.status, got.header.Get("Content-Disposition"), err)
			}
		}
		if got := s.audio(id).header.Get("Content-Disposition"); got != "" && got != "inline" {
			t.Errorf("without download: %q", got)
		}
	})
}

// The files that a platform has on disk already are served as they lie there.
func TestFilesOfThePlatformAreServed(t *testing.T) {
	t.Parallel()
	s := startLocal(t)
	s.sql("ALTER TABLE tracks DROP CONSTRAINT tracks_status_check") // which is the baseline's
	add := func(filePath string) string {
		id := track.NewID().String()
		s.sql("INSERT INTO tracks (id, creator_id, title, file_path, status, content_type) VALUES ($1, $2, 'old', $3, 'published', 'audio/x-whatever')",
			id, s.user, filePath)
		return id
	}
	for _, name := range []string{"a.mp3", "2019/05/it's 100% \"loud\" + more #1?.MP3", "%20/\u0041\u030a.mp3", "😀\n.mp3", strings.Repeat("x", 251) + ".mp3"} {
		path := filepath.Join(s.root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, filePath := range []string{name, path} {
			if len(filePath) > 512 {
				continue
			}
			id := add(filePath)
			got := s.audio(id)
			if got.status != 200 || string(got.body) != name || got.header.Get("Content-Type") != "audio/mpeg" {
				t.Errorf("%q: %d %q %s", filePath, got.status, got.body, got.header.Get("Content-Type"))
			}
			if track := s.call("GET", "/v1/tracks/"+id, nil).want(200); track["status"] != "published" {
				t.Errorf("the platform's status: %v", track)
			}
		}
	}
	for _, filePath := range []string{"../secret.mp3", "/etc/passwd"} {
		s.call("GET", "/v1/tracks/"+add(filePath)+"/audio", nil).refused(409, upload.NotReady)
	}
	if got := s.audio(add("gone.mp3")); got.status != 404 {
		t.Errorf("a missing file: %d", got.status)
	}
	s.call("GET", "/v1/tracks/"+add("")+"/audio", nil).refused(409, upload.NotReady)

	moved := add("a.mp3")
	s.sql("UPDATE tracks SET storage_backend = 's3', storage_key = 'tracks/x' WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'", moved)
	s.call("GET", "/v1/tracks/"+moved+"/audio", nil).refused(503, upload.Unavailable, "s3")
}

// A form can be sent twice: the track keeps the version that was looked at.
func TestAudioIsTheVersionThatWasChecked(t *testing.T) {
	t.Parallel()
	s := start(t)
	first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
	o := s.open(len(first), "method", "post")
	s.post(o.obj("post"), first)
	s.complete(o, nil).want(200)
	if r := s.post(o.obj("post"), second); r.status != http.StatusCreated {
		t.Fatalf("second form: %d", r.status)
	}
	if got := s.audio(o.str("track_id")); string(got.body) != string(first) {
		t.Error("the second form's bytes are served")
	}
}
