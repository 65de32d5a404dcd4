package upload_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/internal/audiotest"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// service returns the same API for a stream server: its token bears the scope, and its sub is nobody's id.
func (s *stage) service() *stage {
	s.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "stream-server", "scope": "tracks:play", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(byKey.Secret.Reveal()))
	if err != nil {
		s.t.Fatal(err)
	}
	other := *s
	other.token = token
	return &other
}

// playable fails the test unless p is a URL of content that lives as long as it should.
func (s *stage) playable(p answer, content []byte) {
	s.t.Helper()
	ends, err := time.Parse(time.RFC3339, p.str("expires_at"))
	if life := time.Until(ends); err != nil || life > 4*time.Hour || life < 4*time.Hour-time.Minute {
		s.t.Errorf("expires_at: %v lives %s, %v", p, life, err)
	}
	if p["content_type"] != "audio/wav" || p["size"] != float64(len(content)) || p["code"] != nil {
		s.t.Errorf("said: %v", p)
	}
	anybody := &stage{t: s.t}
	if got := anybody.call("GET", p.str("url"), nil); got.status != 200 || string(got.body) != string(content) || got.header.Get("Content-Type") != "audio/wav" {
		s.t.Errorf("%s: %d, %d bytes, %v", p.str("url"), got.status, len(got.body), got.header)
	}
	if got := anybody.call("GET", p.str("url"), nil, "Range", "bytes=40-59"); got.status != 206 || string(got.body) != string(content[40:60]) {
		s.t.Errorf("a range: %d %q", got.status, got.body)
	}
}

func TestAudioByItsURL(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		content := audiotest.WAV(1, 1)
		path := "/v1/tracks/" + s.stored(content).str("track_id") + "/audio"
		s.playable(s.call("GET", path+"?redirect=0", nil).want(200), content)
		s.service().playable(s.service().call("GET", path+"?redirect=0", nil).want(200), content)
		if r := s.service().call("GET", path, nil); r.status != 302 {
			t.Errorf("a service: %d %s", r.status, r.body)
		}
		named := s.call("GET", path+"?redirect=0&download=1", nil).want(200)
		got := (&stage{t: t}).call("GET", named.str("url"), nil)
		if !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
			t.Errorf("download=1: %v", got.header)
		}
		if r := s.call("HEAD", path+"?redirect=0", nil); r.status != 200 || r.header.Get("Location") != "" {
			t.Errorf("HEAD: %d %v", r.status, r.header)
		}
		s.as(track.NewID()).call("GET", path+"?redirect=0", nil).refused(404, upload.NotFound)
		s.as(track.NewID()).call("GET", path, nil).refused(404, upload.NotFound)
		waiting := s.open(100)
		for _, who := range []*stage{s, s.service()} {
			who.call("GET", "/v1/tracks/"+waiting.str("track_id")+"/audio?redirect=0", nil).refused(409, upload.NotReady)
			who.call("GET", "/v1/tracks/x/audio?redirect=0", nil).refused(404, upload.NotFound)
		}
	})
}

// The scope of a listener opens nothing but playback.
func TestTheScopePlaysAndDoesNothingElse(t *testing.T) {
	t.Parallel()
	s := start(t)
	done := s.stored(audiotest.WAV(1, 1))
	for _, route := range upload.Routes() {
		if route.Access != upload.Bearer {
			continue
		}
		path := strings.NewReplacer("{upload_id}", done.str("upload_id"), "{track_id}", done.str("track_id")).Replace(route.Path)
		s.service().call(route.Method, path, "{}").refused(401, upload.Unauthorized)
	}
}

func TestPlaybackOfMany(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *stage) {
		first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
		mine, gone := s.stored(first).str("track_id"), s.stored(first).str("track_id")
		others := s.as(track.NewID()).stored(second).str("track_id")
		waiting := s.open(100).str("track_id")
		s.call("DELETE", "/v1/tracks/"+gone, nil).want(204)
		ids := []string{others, waiting, strings.ToUpper(mine), gone, track.NewID().String(), mine}

		check := func(who *stage, codes ...string) {
			t.Helper()
			tracks := who.call("POST", "/v1/playback", answer{"track_ids": ids}).want(200).list("tracks")
			if len(tracks) != len(ids) {
				t.Fatalf("%d answers: %v", len(tracks), tracks)
			}
			for i, p := range tracks {
				if p.str("track_id") != strings.ToLower(ids[i]) {
					t.Errorf("track %d is %v, not %s", i, p, ids[i])
				}
				switch {
				case codes[i] != "":
					if p.str("code") != codes[i] || len(p) != 2 {
						t.Errorf("track %d: %v, want %s", i, p, codes[i])
					}
				case i == 0:
					who.playable(p, second)
				default:
					who.playable(p, first)
				}
			}
		}
		check(s, "not_found", "not_ready", "", "not_found", "not_found", "")
		check(s.service(), "", "not_ready", "", "not_found", "not_found", "")
	})
}

func TestPlaybackRefusals(t *testing.T) {
	t.Parallel()
	s := start(t)
	ids := make([]string, 101)
	for i := range ids {
		ids[i] = track.NewID().String()
	}
	if got := s.call("POST", "/v1/playback", answer{"track_ids": ids[:100]}).want(200).list("tracks"); len(got) != 100 {
		t.Errorf("100 tracks: %v", got)
	}
	for body, field := range map[any]string{
		`{}`: "track_ids", `{"track_ids":[]}`: "track_ids", `{"track_ids":null}`: "track_ids", `{"track_ids":"x"}`: "track_ids",
		fmt.Sprintf(`{"track_ids":["%s"]}`, strings.Join(ids, `","`)): "track_ids",
		fmt.Sprintf(`{"track_ids":["%s","x"]}`, ids[0]):               "track_ids[1]",
		fmt.Sprintf(`{"track_ids":["%s",7]}`, ids[0]):                 "track_ids[1]",
		fmt.Sprintf(`{"track_ids":["%s",null]}`, ids[0]):              "track_ids[1]",
		fmt.Sprintf(`{"track_ids":["%s"],"download":true}`, ids[0]):   "download",
		fmt.Sprintf(`{"track_ids":["%s"],"track_ids":["x"]}`, ids[0]): "track_ids",
	} {
		s.call("POST", "/v1/playback", body).refused(422, upload.InvalidRequest, field)
	}
	s.call("POST", "/v1/playback", nil).refused(400, upload.BadRequest)
	s.call("POST", "/v1/playback", "[]").refused(400, upload.BadRequest)
	s.call("GET", "/v1/playback", nil).refused(405, upload.MethodNotAllowed)
}

// One track whose bytes cannot be had keeps nobody from the others.
func TestPlaybackGoesOnWithoutWhatIsBroken(t *testing.T) {
	t.Parallel()
	s := startLocal(t)
	content := audiotest.WAV(1, 1)
	good, moved, outside := s.stored(content).str("track_id"), s.stored(content).str("track_id"), s.stored(content).str("track_id")
	s.sql("UPDATE tracks SET storage_backend = 's3', storage_key = 'tracks/x' WHERE id = $1 AND set_config('trackstore.writer', 'on', true) = 'on'", moved) // and no S3 here
	s.sql("UPDATE tracks SET file_path = '../x.wav' WHERE id = $1", outside)
	tracks := s.call("POST", "/v1/playback", answer{"track_ids": []string{moved, good, outside}}).want(200).list("tracks")
	if tracks[0]["code"] != "unavailable" || tracks[2]["code"] != "not_ready" {
		t.Errorf("answered %v", tracks)
	}
	s.playable(tracks[1], content)
}

// counting counts what is asked of a database.
type counting struct {
	upload.Store
	selects atomic.Int32
}

func (c *counting) TracksByID(ctx context.Context, ids []track.ID) ([]track.Track, error) {
	c.selects.Add(1)
	return c.Store.TracksByID(ctx, ids)
}

// A hundred tracks cost one SELECT, and nothing is asked of S3: its server is not there.
func TestPlaybackAsksTheDatabaseOnce(t *testing.T) {
	t.Parallel()
	var store *counting
	s := start(t, func(c *upload.Config) { store = &counting{Store: c.Store}; c.Store = store })
	ids := make([]string, 100)
	for i := range ids {
		ids[i] = s.sql(`INSERT INTO tracks (id, creator_id, title, file_path, status, storage_backend, storage_key, format)
			VALUES ($1::text::uuid, $2, 'x', '', 'ready', 's3', 'uploads/x/' || $1, 'wav') RETURNING id::text`, track.NewID().String(), s.user)
	}
	began := time.Now()
	for _, p := range s.call("POST", "/v1/playback", answer{"track_ids": ids}).want(200).list("tracks") {
		if p.str("url") == "" || p["code"] != nil {
			t.Errorf("answered %v", p)
		}
	}
	if took := time.Since(began); store.selects.Load() != 1 || took > 5*time.Second {
		t.Errorf("%d SELECTs, %s", store.selects.Load(), took)
	}
}

func TestATrackGetsAnotherTitle(t *testing.T) {
	t.Parallel()
	s := start(t)
	id := s.stored(audiotest.WAV(1, 1)).str("track_id")
	path := "/v1/tracks/" + id
	before := s.sql("SELECT to_jsonb(t) - 'title' - 'updated_at' FROM tracks t WHERE id = $1", id)
	for _, title := range []string{"Étude", strings.Repeat("😀", 255), "Étude"} {
		got := s.call("PATCH", path, answer{"title": title}).want(200)
		if got["title"] != title || got["track_id"] != id || got["status"] != "ready" || got["storage_key"] != nil {
			t.Errorf("answered %v", got)
		}
		if now := s.call("GET", path, nil).want(200); now["title"] != title {
			t.Errorf("the track is %v", now)
		}
	}
	if after := s.sql("SELECT to_jsonb(t) - 'title' - 'updated_at' FROM tracks t WHERE id = $1", id); after != before {
		t.Errorf("the row was\n%s\nand is\n%s", before, after)
	}
	for _, body := range []any{
		`{}`, `{"title":null}`, `{"title":""}`, `{"title":" "}`, `{"title":7}`, "{\"title\":\"a\\nb\"}",
		answer{"title": strings.Repeat("x", 256)}, `{"title":"a","title":"b"}`, `{"Title":"a"}`,
	} {
		s.call("PATCH", path, body).refused(422, upload.InvalidRequest, "itle")
	}
	s.call("PATCH", path, answer{"title": "a", "status": "ready"}).refused(422, upload.InvalidRequest, "status")
	s.call("PATCH", path, nil).refused(400, upload.BadRequest)
	s.as(track.NewID()).call("PATCH", path, answer{"title": "mine"}).refused(404, upload.NotFound)
	s.call("PATCH", "/v1/tracks/x", answer{"title": "x"}).refused(404, upload.NotFound)
	s.call("DELETE", path, nil).want(http.StatusNoContent)
	s.call("PATCH", path, answer{"title": "x"}).refused(404, upload.NotFound)
}
