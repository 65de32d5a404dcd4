package upload_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"trackstore/internal/audiotest"
	"trackstore/internal/devstack/cdn"
	"trackstore/shared/cloudfront"
	"trackstore/shared/config"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// startWithCDN starts the API with a distribution before its bucket, and returns that one's URL.
func startWithCDN(t *testing.T, set ...func(*upload.Config)) (*stage, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	front := &cdn.Distribution{KeyID: "K1", Key: key.Public()}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	if front.URL, err = url.Parse(server.URL); err != nil {
		t.Fatal(err)
	}
	return start(t, append(set, func(c *upload.Config) {
		front.Origin = c.Backends[track.S3].(cdn.Origin)
		c.CDN = cloudfront.New(config.CDN{URL: front.URL, KeyID: "K1", Key: key})
	})...), server.URL
}

// Tracks on S3 are played by the distribution; all else goes to the bucket's own host.
func TestPlaybackByACDN(t *testing.T) {
	t.Parallel()
	s, front := startWithCDN(t)
	first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
	o := s.open(len(first))
	if strings.HasPrefix(o.obj("put").str("url"), front) {
		t.Errorf("an upload goes to the distribution: %v", o)
	}
	s.put(o, first)
	s.complete(o, nil).want(200)
	id := o.str("track_id")
	path := "/v1/tracks/" + id + "/audio"

	s.playable(s.call("GET", path+"?redirect=0", nil).want(200), first)
	s.playable(s.call("POST", "/v1/playback", answer{"track_ids": []string{id}}).want(200).list("tracks")[0], first)
	old := s.call("GET", path, nil).header.Get("Location")
	if !strings.HasPrefix(old, front+"/uploads/"+id+"/") {
		t.Errorf("played by %s", old)
	}
	if got := s.audio(id); got.header.Get("X-Cache") != "Hit from cloudfront" {
		t.Errorf("the second play: %v", got.header)
	}
	download := s.call("GET", path+"?download=1", nil).header.Get("Location")
	if strings.HasPrefix(download, front) {
		t.Errorf("a download goes by %s", download)
	}
	if got := (&stage{t: t}).call("GET", download, nil); got.status != http.StatusOK || !strings.HasPrefix(got.header.Get("Content-Disposition"), "attachment") {
		t.Errorf("the download: %d %v", got.status, got.header)
	}

	s.stored(second, "title", nil, "track_id", id)
	s.playable(s.call("GET", path+"?redirect=0", nil).want(200), second)
	if got := s.audio(id); string(got.body) != string(second) {
		t.Error("a replaced track plays its old bytes")
	}
	s.call("DELETE", "/v1/tracks/"+id, nil).want(204)
	s.call("GET", path, nil).refused(404, upload.NotFound)
}

// What a distribution serves bears the type that was stored with it. Bytes that turned out to be something else than their
// name said are played by the bucket, which serves them as what they are.
func TestACDNServesNothingUnderAnotherType(t *testing.T) {
	t.Parallel()
	s, front := startWithCDN(t)
	for filename, byCDN := range map[string]bool{"take.wav": true, "take.wave": true, "take.mp3": false, "take.flac": false} {
		content := audiotest.WAV(1, 1)
		done := s.stored(content, "filename", filename)
		p := s.call("GET", "/v1/tracks/"+done.str("track_id")+"/audio?redirect=0", nil).want(200)
		s.playable(p, content)
		if strings.HasPrefix(p.str("url"), front) != byCDN {
			t.Errorf("%s is played by %s", filename, p.str("url"))
		}
	}
}

// A listener, who is not the owner, streams ninety minutes by ranges, jumps about in them, and asks again when a URL is over.
// Once the track is deleted there is no other.
func TestAListenerStreamsNinetyMinutes(t *testing.T) {
	t.Parallel()
	const life, piece = 2 * time.Second, 256 << 10
	s, front := startWithCDN(t, func(c *upload.Config) { c.Limits.PlaybackURLTTL = life })
	content := audiotest.AAC(90*60, 1)
	id := s.stored(content, "filename", "mix.aac").str("track_id")
	service, listener := s.service(), &stage{t: t}
	ask := func() answer { return service.call("GET", "/v1/tracks/"+id+"/audio?redirect=0", nil).want(200) }
	asked, p := 1, ask()
	if !strings.HasPrefix(p.str("url"), front) {
		t.Fatalf("played by %v", p)
	}
	play := func(offset int) {
		t.Helper()
		want := content[offset:min(offset+piece, len(content))]
		for {
			got := listener.call("GET", p.str("url"), nil, "Range", fmt.Sprintf("bytes=%d-%d", offset, offset+len(want)-1))
			if got.status == http.StatusForbidden && asked < 10 { // the URL is over
				asked, p = asked+1, ask()
				continue
			}
			if got.status != http.StatusPartialContent || string(got.body) != string(want) {
				t.Fatalf("from %d on: %d, %d bytes", offset, got.status, len(got.body))
			}
			return
		}
	}
	for offset := 0; offset < len(content); offset += piece {
		play(offset)
		if offset == 4*piece { // a pause, and the URL ends meanwhile
			time.Sleep(life + time.Second)
		}
	}
	for _, offset := range []int{len(content) - 100, 0, len(content) / 2, 1} {
		play(offset)
	}
	if asked < 2 {
		t.Error("one URL was enough")
	}
	s.call("DELETE", "/v1/tracks/"+id, nil).want(204)
	service.call("GET", "/v1/tracks/"+id+"/audio?redirect=0", nil).refused(404, upload.NotFound)
	if got := service.call("POST", "/v1/playback", answer{"track_ids": []string{id}}).want(200).list("tracks")[0]; got["code"] != "not_found" {
		t.Errorf("after its deletion: %v", got)
	}
}
