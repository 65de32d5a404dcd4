package upload_test

import (
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

func TestAFileIsSentAndPlayed(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		sum := track.NewCRC64NVME(crc64nvme.Checksum(content))
		r := s.call("POST", "/v1/uploads", file(len(content), "checksum", sum))
		o := r.want(http.StatusCreated)
		if r.header.Get("Location") != "/v1/uploads/"+o.str("upload_id") || o["state"] != "pending" || o["post"] != nil || o["multipart"] != nil {
			t.Errorf("opened: %s", r.body)
		}
		if life := time.Until(parseTime(t, o.str("expires_at"))); life < 15*time.Minute || life > 21*time.Minute {
			t.Errorf("the ticket lives %v, its URL 15 minutes", life)
		}
		if got := s.call("GET", "/v1/tracks/"+o.str("track_id"), nil).want(200); got["status"] != "uploading" || got["title"] != "Nocturne" {
			t.Errorf("track before: %v", got)
		}
		s.call("GET", "/v1/tracks/"+o.str("track_id")+"/audio", nil).refused(409, upload.NotReady)
		s.complete(o, nil).refused(409, upload.NotUploaded)

		if r := s.put(o, content); r.status != http.StatusOK {
			t.Fatalf("PUT: %d %s", r.status, r.body)
		}
		for range 2 {
			done := s.complete(o, nil).want(200)
			if done["state"] != "stored" || done["reason"] != nil || done["size"] != float64(len(content)) || done["content_type"] != "audio/wav" {
				t.Errorf("complete: %v", done)
			}
		}
		if got := s.call("GET", r.header.Get("Location"), nil).want(200); got["state"] != "stored" || got["parts"] != nil {
			t.Errorf("upload: %v", got)
		}
		got := s.call("GET", "/v1/tracks/"+o.str("track_id"), nil).want(200)
		if got["status"] != "ready" || got["format"] != "wav" || got["content_type"] != "audio/wav" || got["size"] != float64(len(content)) {
			t.Errorf("track after: %v", got)
		}
		for _, plumbing := range []string{"storage_backend", "storage_key", "file_path", "creator_id"} {
			if _, there := got[plumbing]; there {
				t.Errorf("the track shows %s", plumbing)
			}
		}
		whole := s.audio(o.str("track_id"))
		if whole.status != 200 || string(whole.body) != string(content) || whole.header.Get("Content-Type") != "audio/wav" {
			t.Errorf("audio: %d, %d bytes, %s", whole.status, len(whole.body), whole.header.Get("Content-Type"))
		}
		head := s.call("HEAD", "/v1/tracks/"+o.str("track_id")+"/audio", nil)
		if r := (&stage{t: t}).call("HEAD", head.header.Get("Location"), nil); r.status != 200 || r.header.Get("Content-Length") != strconv.Itoa(len(content)) {
			t.Errorf("HEAD leads to %d, %v", r.status, r.header)
		}
		if part := s.audio(o.str("track_id"), "Range", "bytes=4-7"); part.status != 206 || string(part.body) != string(content[4:8]) {
			t.Errorf("range: %d %q", part.status, part.body)
		}
		if r := s.put(o, content); r.status != http.StatusPreconditionFailed {
			t.Errorf("a second PUT: %d", r.status)
		}
	})
}

func TestAFormIsSent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		o := s.open(len(content), "method", "post")
		if o["put"] != nil || o["multipart"] != nil {
			t.Errorf("opened: %v", o)
		}
		if r := s.post(o.obj("post"), content[1:]); r.status/100 != 4 {
			t.Errorf("a shorter file: %d %s", r.status, r.body)
		}
		if r := s.post(o.obj("post"), content); r.status != http.StatusCreated {
			t.Fatalf("POST: %d %s", r.status, r.body)
		}
		if done := s.complete(o, nil).want(200); done["state"] != "stored" {
			t.Errorf("complete: %v", done)
		}
	})
}

func TestWhatIsNoAudioFails(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		page := []byte("<!doctype html><script>alert(1)</script>")
		o := s.open(len(page))
		if r := s.put(o, page); r.status != 200 {
			t.Fatalf("PUT: %d %s", r.status, r.body)
		}
		for range 2 {
			if done := s.complete(o, nil).want(200); done["state"] != "failed" || done["reason"] != "not_audio" ||
				done["detail"] != "the bytes are an HTML page" {
				t.Errorf("complete: %v", done)
			}
		}
		s.call("GET", "/v1/tracks/"+o.str("track_id")+"/audio", nil).refused(409, upload.NotReady)
		s.call("POST", "/v1/uploads/"+o.str("upload_id")+"/parts", answer{"part_numbers": []int{1}}).refused(422, upload.InvalidRequest)
	})
}

func TestANewFileReplacesTheOldOneOnceItIsThere(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
		id := s.stored(first).str("track_id")
		before := s.sql("SELECT to_jsonb(t)::text FROM tracks t WHERE id = $1", id)
		o := s.open(len(second), "title", nil, "track_id", id)
		if after := s.sql("SELECT to_jsonb(t)::text FROM tracks t WHERE id = $1", id); after != before {
			t.Errorf("opening changed the row\n%s\n%s", before, after)
		}
		if string(s.audio(id).body) != string(first) {
			t.Error("the old file is not served while the new one is under way")
		}
		s.put(o, second)
		s.complete(o, nil).want(200)
		if string(s.audio(id).body) != string(second) {
			t.Error("the new file is not served")
		}
	})
}

// Uploads of one moment go to keys that are spread over the bucket's: S3 makes room by ranges of keys.
func TestKeysOfOneMomentAreSpread(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *upload.Config) { c.Limits.MaxPending = 1000 })
	starts := map[string]bool{} // the first byte of the ids that keys begin with
	for range 64 {
		path, _, _ := strings.Cut(s.open(100).obj("put").str("url"), "?")
		_, key, _ := strings.Cut(path, track.UploadsPrefix)
		starts[key[:2]] = true
	}
	if len(starts) < 40 { // of 64 draws out of 256, 57 differ as a rule
		t.Errorf("64 keys begin in %d places", len(starts))
	}
}

// The bytes decide: whatever a client says of the type, and also when it says nothing.
func TestOpenTakesWhatClientsCallAudio(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *upload.Config) { c.Limits.MaxPending = 1000 })
	for _, c := range []struct {
		filename    string
		contentType any
		canonical   string
	}{
		{"a.mp3", "audio/mp3", "audio/mpeg"}, {"A.MP3", "audio/mpeg", "audio/mpeg"},
		{"a.wav", "audio/x-wav", "audio/wav"}, {"a.wave", "audio/vnd.wave", "audio/wav"},
		{"a.flac", "audio/x-flac", "audio/flac"}, {"a.ogg", "audio/ogg", "audio/ogg"}, {"a.opus", "audio/ogg; codecs=opus", "audio/ogg"},
		{"a.opus", "audio/opus", "audio/ogg"}, {"a.m4a", "audio/x-m4a", "audio/mp4"}, {"a.m4a", "audio/mp4", "audio/mp4"},
		{"a.aac", "audio/aac", "audio/aac"}, {"a.aif", "audio/x-aiff", "audio/aiff"}, {"a.AIFF", "AUDIO/AIFF", "audio/aiff"},
		{"a.aac", "audio/vnd.dlna.adts", "audio/aac"}, {"a.aac", "audio/aacp", "audio/aac"}, {"a.aifc", "audio/x-aifc", "audio/aiff"}, // Windows, macOS
		{"a.opus", "audio/x-opus+ogg", "audio/ogg"}, {"a.oga", "audio/x-vorbis+ogg; q=1", "audio/ogg"}, {"a.mp3", "audio/x-mpg", "audio/mpeg"}, // Linux
		{"a.wav", "audio/wave", "audio/wav"}, {"a.wav", "audio/x-wave;codecs=\"1\"", "audio/wav"}, {"a.m4a", "audio/mp4; codecs=\"mp4a.40.2\"", "audio/mp4"},
		{"a.ogg", "video/ogg", "audio/ogg"}, // Firefox
		{"../ü/猫.b.c.flac", "audio/flac", "audio/flac"},
		{"a.m4a", "audio/mpeg", "audio/mp4"}, {"a.3ga", "audio/mpeg", "audio/mp4"}, {"a.3gp", "video/3gpp", "audio/mp4"}, // Android
		{"t.mp4", "video/mp4", "audio/mp4"}, {"t.m4b", "audio/x-m4b", "audio/mp4"}, {"t.m4r", "", "audio/mp4"}, {"t.wave", "", "audio/wav"}, // browsers
		{"t.webm", "video/webm", "audio/webm"}, {"t.webm", "audio/webm;codecs=opus", "audio/webm"}, {"t.weba", "audio/webm", "audio/webm"}, // their recorders
		{"a.mp2", "video/mpeg", "audio/mpeg"}, {"a.spx", "audio/x-speex", "audio/ogg"}, {"a.mka", "application/octet-stream", "audio/x-matroska"},
		{"a.wav", "audio/mpeg", "audio/wav"}, {"a.wav", "audio/midi", "audio/wav"}, {"a.wav", "Audio/X-Anything; q=1", "audio/wav"},
		{"a.wav", "application/octet-stream", "audio/wav"}, {"a.wav", "binary/octet-stream", "audio/wav"}, {"a.wav", nil, "audio/wav"},
	} {
		o := s.open(100, "filename", c.filename, "content_type", c.contentType)
		if got := o.obj("put").obj("headers").str("Content-Type"); got != c.canonical {
			t.Errorf("%s, %s: signed as %s, want %s", c.filename, c.contentType, got, c.canonical)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	s := start(t)
	sum := func(algorithm string, n int) answer {
		return answer{"algorithm": algorithm, "value": base64.StdEncoding.EncodeToString(make([]byte, n))}
	}
	for _, c := range []struct {
		name   string
		body   any
		status int
		code   upload.Code
		word   string // in the detail
	}{
		{"no body", nil, 400, upload.BadRequest, "empty"},
		{"rubbish", "{]", 400, upload.BadRequest, "JSON"},
		{"half", `{"title":"a"`, 400, upload.BadRequest, "JSON"},
		{"two documents", `{} {}`, 400, upload.BadRequest, "JSON"},
		{"broken UTF-8", "{\"title\":\"\xff\"}", 400, upload.BadRequest, "JSON"},
		{"a list", `[]`, 400, upload.BadRequest, "object"},
		{"null", `null`, 400, upload.BadRequest, "object"},
		{"huge", file(1, "title", strings.Repeat("a", 70_000)), 413, upload.PayloadTooLarge, "65536"},

		{"unknown field", file(1, "artist", "x"), 422, upload.InvalidRequest, "artist: "},
		{"field in another case", file(1, "Size", 1), 422, upload.InvalidRequest, "Size: "},
		{"field twice", `{"size":1,"size":2}`, 422, upload.InvalidRequest, "size: "},
		{"unknown field with control characters", "{\"a\\u0000\\n\":1}", 422, upload.InvalidRequest, `a\x00\n`},

		{"no title", file(1, "title", nil), 422, upload.InvalidRequest, "title: "},
		{"null title", `{"title":null}`, 422, upload.InvalidRequest, "title: "},
		{"title no string", file(1, "title", 7), 422, upload.InvalidRequest, "title: "},
		{"empty title", file(1, "title", ""), 422, upload.InvalidRequest, "title: "},
		{"blank title", file(1, "title", " \u00a0\u3000"), 422, upload.InvalidRequest, "title: "},
		{"300 characters", file(1, "title", strings.Repeat("é", 300)), 422, upload.InvalidRequest, "title: "},
		{"256 characters", file(1, "title", strings.Repeat("😀", 256)), 422, upload.InvalidRequest, "title: "},
		{"NUL", file(1, "title", "a\x00b"), 422, upload.InvalidRequest, "title: "},
		{"newline", file(1, "title", "a\nb"), 422, upload.InvalidRequest, "title: "},
		{"C1 control", file(1, "title", "a\u0085b"), 422, upload.InvalidRequest, "title: "},
		{"title beside track_id", file(1, "track_id", track.NewID()), 422, upload.InvalidRequest, "title: "},

		{"no filename", file(1, "filename", nil), 422, upload.InvalidRequest, "filename: "},
		{"NUL in filename", file(1, "filename", "a\x00.wav"), 422, upload.InvalidRequest, "filename: "},
		{"newline in filename", file(1, "filename", "a\n.wav"), 422, upload.InvalidRequest, "filename: "},
		{"long filename", file(1, "filename", strings.Repeat("a", 252)+".wav"), 422, upload.InvalidRequest, "filename: "},
		{"unknown extension", file(1, "filename", "a.exe"), 415, upload.UnsupportedMediaType, "filename: "},
		{"a format that is not taken", file(1, "filename", "a.wma"), 415, upload.UnsupportedMediaType, `not in ".wma": mp3, `},
		{"no extension", file(1, "filename", "wav"), 415, upload.UnsupportedMediaType, "filename: "},

		{"a page", file(1, "content_type", "text/html"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"a document", file(1, "content_type", "application/pdf"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"a picture", file(1, "content_type", "image/png"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"half a type", file(1, "content_type", "audio/"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"no type", file(1, "content_type", "audio"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"two types", file(1, "content_type", "audio/wav, text/html"), 415, upload.UnsupportedMediaType, "content_type: "},
		{"newline in content type", file(1, "content_type", "audio/wav\nx: y"), 422, upload.InvalidRequest, "content_type: "},
		{"content type no string", file(1, "content_type", 7), 422, upload.InvalidRequest, "content_type: "},

		{"no size", file(1, "size", nil), 422, upload.InvalidRequest, "size: "},
		{"size 0", file(0), 422, upload.InvalidRequest, "size: "},
		{"negative size", file(-1), 422, upload.InvalidRequest, "size: "},
		{"size as text", file(1, "size", "1"), 422, upload.InvalidRequest, "size: "},
		{"fraction", file(1, "size", 1.5), 422, upload.InvalidRequest, "size: "},
		{"too large", file(2<<30 + 1), 413, upload.FileTooLarge, "size: "},
		{"past int64", `{"title":"a","filename":"a.wav","content_type":"audio/wav","size":99999999999999999999}`, 413, upload.FileTooLarge, "size: "},
		{"past float64", `{"title":"a","filename":"a.wav","content_type":"audio/wav","size":1e999}`, 422, upload.InvalidRequest, "size: "},

		{"checksum no object", file(1, "checksum", "x"), 422, upload.InvalidRequest, "checksum: "},
		{"checksum without value", file(1, "checksum", answer{"algorithm": "SHA256"}), 422, upload.InvalidRequest, "checksum: "},
		{"checksum with more", file(1, "checksum", answer{"algorithm": "SHA256", "of": "x"}), 422, upload.InvalidRequest, "checksum.of: "},
		{"unknown algorithm", file(1, "checksum", sum("MD5", 16)), 422, upload.InvalidRequest, "checksum.algorithm: "},
		{"algorithm in lower case", file(1, "checksum", sum("sha256", 32)), 422, upload.InvalidRequest, "checksum.algorithm: "},
		{"short sum", file(1, "checksum", sum("CRC64NVME", 7)), 422, upload.InvalidRequest, "checksum.value: "},
		{"no base64", file(1, "checksum", answer{"algorithm": "CRC32C", "value": "!!"}), 422, upload.InvalidRequest, "checksum.value: "},
		{"base64 with a line break", file(1, "checksum", answer{"algorithm": "CRC32C", "value": "AAAA\nAA=="}), 422, upload.InvalidRequest, "checksum.value: "},

		{"unknown method", file(1, "method", "ftp"), 422, upload.InvalidRequest, "method: "},
		{"empty method", file(1, "method", ""), 422, upload.InvalidRequest, "method: "},
		{"track_id no UUID", file(1, "title", nil, "track_id", "7"), 422, upload.InvalidRequest, "track_id: "},
		{"unknown track", file(1, "title", nil, "track_id", track.NewID()), 404, upload.NotFound, ""},
		{"nil UUID", file(1, "title", nil, "track_id", track.ID{}), 404, upload.NotFound, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s.in(t).call("POST", "/v1/uploads", c.body).refused(c.status, c.code, c.word)
		})
	}
	if n := s.sql("SELECT (SELECT count(*) FROM track_uploads) + (SELECT count(*) FROM tracks)"); n != "0" {
		t.Errorf("refusals left %s rows", n)
	}

	s.call("POST", "/v1/uploads", file(1), "Content-Type", "application/json; charset=utf-8").want(201)
	for _, contentType := range []string{"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin1", "", "application/problem+json"} {
		s.call("POST", "/v1/uploads", file(1), "Content-Type", contentType).refused(415, upload.UnsupportedMediaType)
	}
	s.call("POST", "/v1/uploads", file(1), "Content-Encoding", "gzip").refused(415, upload.UnsupportedMediaType, "Content-Encoding")
	s.open(1, "title", strings.Repeat("😀", 255))
}

func TestOneRequestTakesUpTo5GiB(t *testing.T) {
	t.Parallel()
	s := start(t, func(c *upload.Config) { c.Limits.MaxBytes = 6 << 30 })
	s.open(5<<30, "method", "put")
	for _, method := range []string{"put", "post"} {
		s.call("POST", "/v1/uploads", file(5<<30+1, "method", method)).refused(422, upload.InvalidRequest, "method: ")
	}
	if o := s.open(64 << 20); o["put"] == nil {
		t.Errorf("64 MiB by default: %v", o)
	}
	if o := s.open(64<<20 + 1); o["multipart"] == nil {
		t.Errorf("more by default: %v", o)
	}
}

func TestOthersTracksAndUploadsAreNotThere(t *testing.T) {
	t.Parallel()
	s := start(t)
	mine := s.stored(audiotest.WAV(1, 1))
	o := s.open(100)
	multi := s.open(100, "method", "multipart")
	other := s.as(track.NewID())
	for _, upl := range []answer{mine, o, multi} {
		path := "/v1/uploads/" + upl.str("upload_id")
		other.call("GET", path, nil).refused(404, upload.NotFound)
		other.call("DELETE", path, nil).refused(404, upload.NotFound)
		other.call("POST", path+"/complete", nil).refused(404, upload.NotFound)
		other.call("POST", path+"/parts", answer{"part_numbers": []int{1}}).refused(404, upload.NotFound)
		path = "/v1/tracks/" + upl.str("track_id")
		other.call("GET", path, nil).refused(404, upload.NotFound)
		other.call("GET", path+"/audio", nil).refused(404, upload.NotFound)
		other.call("DELETE", path, nil).refused(404, upload.NotFound)
		other.call("POST", "/v1/uploads", file(1, "title", nil, "track_id", upl.str("track_id"))).refused(404, upload.NotFound)
	}
	s.call("GET", "/v1/uploads/"+o.str("upload_id"), nil).want(200)
	for _, id := range []string{"7", "00000000-0000-0000-0000-00000000000g", "%00", "..%2f..", strings.Repeat("a", 5000)} {
		s.call("GET", "/v1/uploads/"+id, nil).refused(404, upload.NotFound)
		s.call("DELETE", "/v1/uploads/"+id, nil).refused(404, upload.NotFound)
		s.call("GET", "/v1/tracks/"+id, nil).refused(404, upload.NotFound)
		s.call("GET", "/v1/tracks/"+id+"/audio", nil).refused(404, upload.NotFound)
		s.call("DELETE", "/v1/tracks/"+id, nil).refused(404, upload.NotFound)
	}
}

func parseTime(t testing.TB, s string) time.Time {
	t.Helper()
	at, err := time.Parse(time.RFC3339, s)
	if err != nil {
		t.Fatal(err)
	}
	return at
}
