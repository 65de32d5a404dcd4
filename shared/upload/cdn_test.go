package upload_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/internal/devstack/cdn"
	"trackstore/shared/cloudfront"
	"trackstore/shared/config"
	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// Tracks on S3 are played by the distribution; all else goes to the bucket's own host.
func TestPlaybackByACDN(t *testing.T) {
	t.Parallel()
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
	s := start(t, func(c *upload.Config) {
		front.Origin = c.Backends[track.S3].(cdn.Origin)
		c.CDN = cloudfront.New(config.CDN{URL: front.URL, KeyID: "K1", Key: key})
	})
	first, second := audiotest.WAV(1, 1), audiotest.WAV(1, 2)
	o := s.open(len(first))
	if strings.HasPrefix(o.obj("put").str("url"), server.URL) {
		t.Errorf("an upload goes to the distribution: %v", o)
	}
	s.put(o, first)
	s.complete(o, nil).want(200)
	id := o.str("track_id")
	path := "/v1/tracks/" + id + "/audio"

	s.playable(s.call("GET", path+"?redirect=0", nil).want(200), first)
	s.playable(s.call("POST", "/v1/playback", answer{"track_ids": []string{id}}).want(200).list("tracks")[0], first)
	old := s.call("GET", path, nil).header.Get("Location")
	if !strings.HasPrefix(old, server.URL+"/uploads/"+id+"/") {
		t.Errorf("played by %s", old)
	}
	if got := s.audio(id); got.header.Get("X-Cache") != "Hit from cloudfront" {
		t.Errorf("the second play: %v", got.header)
	}
	download := s.call("GET", path+"?download=1", nil).header.Get("Location")
	if strings.HasPrefix(download, server.URL) {
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
