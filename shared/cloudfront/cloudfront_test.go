package cloudfront_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"trackstore/internal/devstack/cdn"
	"trackstore/internal/testenv"
	"trackstore/internal/testenv/stores"
	"trackstore/shared/cloudfront"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const content = "0123456789abcdefghijklmnopqrstuvwxyz"

// stage is a bucket, a distribution before it, and what signs its URLs.
type stage struct {
	*testing.T
	stores.Set
	*cloudfront.Distribution
	url string
}

func start(t *testing.T, key crypto.Signer) *stage {
	t.Helper()
	s := &stage{T: t, Set: stores.New(t)}
	front := &cdn.Distribution{KeyID: "K2JCJMDEHXQW5F", Key: key.Public(), Origin: s.S3}
	server := httptest.NewServer(front)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	front.URL, s.url = u, server.URL
	s.Distribution = cloudfront.New(config.CDN{URL: u, KeyID: front.KeyID, Key: key})
	return s
}

func ecKey(t *testing.T) crypto.Signer {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// store puts content into the bucket, and returns its version.
func (s *stage) store(key string) string {
	s.Helper()
	put, err := s.S3.SignPut(s.Context(), track.PutSpec{Key: key, Size: int64(len(content)), ContentType: "audio/flac", TTL: time.Minute})
	if err != nil {
		s.Fatal(err)
	}
	if status, _, body := s.send(http.MethodPut, put.URL, put.Headers, content); status != 200 {
		s.Fatal(status, body)
	}
	object, err := s.S3.Head(s.Context(), key, "")
	if err != nil {
		s.Fatal(err)
	}
	return object.VersionID
}

func (s *stage) send(method, url string, headers map[string]string, content string) (int, http.Header, string) {
	s.Helper()
	r, err := http.NewRequestWithContext(s.Context(), method, url, strings.NewReader(content))
	if err != nil {
		s.Fatal(err)
	}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		s.Fatal(err)
	}
	return response.StatusCode, response.Header, string(body)
}

func (s *stage) sign(spec track.GetSpec) string {
	s.Helper()
	signed, err := s.SignGet(s.Context(), spec)
	if err != nil {
		s.Fatal(err)
	}
	return signed.URL
}

func TestPlaysThroughTheDistribution(t *testing.T) {
	t.Parallel()
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	for name, key := range map[string]crypto.Signer{"RSA": rsaKey, "ECDSA": ecKey(t)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, key)
			for _, path := range []string{"uploads/a/b.flac", "tracks/a b+c%20/#?&=;:@,(ü)\U0001F3B5.flac"} {
				version := s.store(path)
				for _, pinned := range []string{version, ""} {
					first, second := s.sign(track.GetSpec{Key: path, VersionID: pinned, TTL: time.Hour}), s.sign(track.GetSpec{Key: path, VersionID: pinned, TTL: 2 * time.Hour})
					status, header, body := s.send(http.MethodGet, first, nil, "")
					if status != 200 || body != content || header.Get("X-Cache") != "Miss from cloudfront" || header.Get("Content-Type") != "audio/flac" {
						t.Errorf("%s: %d %s %v", first, status, body, header)
					}
					status, header, body = s.send(http.MethodGet, second, map[string]string{"Range": "bytes=10-12"}, "")
					if status != 206 || body != "abc" || header.Get("X-Cache") != "Hit from cloudfront" {
						t.Errorf("again, a range: %d %s %v", status, body, header)
					}
					if status, header, _ = s.send(http.MethodHead, second, nil, ""); status != 200 || header.Get("Content-Length") != "36" {
						t.Errorf("HEAD: %d %v", status, header)
					}
				}
			}
		})
	}
}

func TestRefusedWithoutASignatureThatFits(t *testing.T) {
	t.Parallel()
	s := start(t, ecKey(t))
	version := s.store("uploads/a.flac")
	s.store("uploads/b.flac")
	good := s.sign(track.GetSpec{Key: "uploads/a.flac", VersionID: version, TTL: time.Hour})
	bare, _, _ := strings.Cut(good, "?")
	for name, u := range map[string]string{
		"no signature":       bare,
		"another object":     strings.Replace(good, "a.flac", "b.flac", 1),
		"another version":    strings.Replace(good, version, "x"+version[1:], 1),
		"no version":         strings.Replace(good, "versionId="+version+"&", "", 1),
		"a longer life":      strings.Replace(good, "Expires=", "Expires=9", 1),
		"another key":        strings.Replace(good, "K2JCJMDEHXQW5F", "KOTHER", 1),
		"another hash":       strings.Replace(good, "SHA256", "SHA1", 1),
		"one parameter more": good + "&response-content-type=text/html",
		"too late":           s.sign(track.GetSpec{Key: "uploads/a.flac", VersionID: version, TTL: -time.Second}),
		"an absent object":   s.sign(track.GetSpec{Key: "uploads/c.flac", TTL: time.Hour}),
	} {
		if status, _, body := s.send(http.MethodGet, u, nil, ""); status != 403 {
			t.Errorf("%s: %d %s", name, status, body)
		}
	}
	for _, method := range []string{"PUT", "POST", "DELETE"} {
		if status, _, _ := s.send(method, good, nil, content); status != 403 {
			t.Errorf("%s: %d", method, status)
		}
	}
	if status, _, body := s.send(http.MethodGet, good, nil, ""); status != 200 || body != content {
		t.Errorf("as it is: %d %s", status, body)
	}
}

// The configuration takes what openssl writes, and nothing that CloudFront refuses.
func TestKeysOfTheConfiguration(t *testing.T) {
	t.Parallel()
	ec := ecKey(t).(*ecdsa.PrivateKey)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	long, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(key any) string {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	}
	for name, test := range map[string]struct {
		key, id, url string
		fails        string
	}{
		"a good one":       {encode(ec), "K1", "https://media.example.com", ""},
		"on one line":      {strings.ReplaceAll(encode(ec), "\n", `\n`), "K1", "https://media.example.com/", ""},
		"RSA of 1024 bits": {encode(short), "K1", "https://media.example.com", "PLAYBACK_CDN_PRIVATE_KEY"},
		"P-384":            {encode(long), "K1", "https://media.example.com", "PLAYBACK_CDN_PRIVATE_KEY"},
		"rubbish":          {"rubbish", "K1", "https://media.example.com", "PLAYBACK_CDN_PRIVATE_KEY"},
		"no key":           {"", "K1", "https://media.example.com", "PLAYBACK_CDN_PRIVATE_KEY"},
		"no id":            {encode(ec), "", "https://media.example.com", "PLAYBACK_CDN_KEY_ID"},
		"no URL":           {encode(ec), "K1", "", "PLAYBACK_CDN_URL"},
		"a path":           {encode(ec), "K1", "https://media.example.com/x", "PLAYBACK_CDN_URL"},
		"an odd id":        {encode(ec), "K 1", "https://media.example.com", "PLAYBACK_CDN_KEY_ID"},
		"in the clear":     {encode(ec), "K1", "http://media.example.com", "PLAYBACK_CDN_URL"},
	} {
		env := map[string]string{
			"APP_ENV": "production", "DATABASE_URL": "postgres://127.0.0.1/x", "JWT_SECRET": strings.Repeat("x", 32), "TRACK_STORAGE_BACKEND": "s3",
			"AWS_S3_ENABLED": "true", "AWS_S3_BUCKET": "tracks", "AWS_REGION": "eu-central-1",
			"PLAYBACK_CDN_URL": test.url, "PLAYBACK_CDN_KEY_ID": test.id, "PLAYBACK_CDN_PRIVATE_KEY": test.key,
		}
		cfg, err := config.Load[config.PresignUpload](func(name string) string { return env[name] })
		if test.fails == "" && (err != nil || !cfg.CDN.Enabled()) || test.fails != "" && (err == nil || !strings.Contains(err.Error(), test.fails)) {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && test.key != "" && len(test.key) > 20 && strings.Contains(err.Error(), test.key[40:60]) {
			t.Errorf("%s: the error shows the key", name)
		}
	}
}

// small is a bucket of small objects, in memory: what the cache does is what counts.
type small struct{ asked int }

func (s *small) Head(_ context.Context, key, versionID string) (track.Object, error) {
	s.asked++
	return track.Object{Key: key, VersionID: versionID, Size: int64(len(content)), ContentType: "audio/flac", ModTime: time.Unix(1, 0)}, nil
}

func (*small) Open(context.Context, string, string, int64, int64) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader(content)), nil
}

// A hundred thousand plays of a thousand tracks, of which few are played often: each listener has
// URLs of their own, and nearly all are answered from the cache.
func TestMostPlaysAreHits(t *testing.T) {
	t.Parallel()
	const plays, tracks = 100_000, 1000
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	origin, base := &small{}, &url.URL{Scheme: "https", Host: "media.example.com"}
	front := &cdn.Distribution{URL: base, KeyID: "K1", Key: key.Public(), Origin: origin}
	signer := cloudfront.New(config.CDN{URL: base, KeyID: "K1", Key: key})
	urls := make(map[[2]uint64]string) // of two listeners
	chance := mathrand.New(mathrand.NewPCG(1, 2))
	zipf := mathrand.NewZipf(chance, 1.1, 1, tracks-1)
	hits := 0
	for play := range plays {
		which := [2]uint64{zipf.Uint64(), uint64(play % 2)}
		if urls[which] == "" {
			signed, err := signer.SignGet(t.Context(), track.GetSpec{
				Key: fmt.Sprintf("uploads/%d.flac", which[0]), VersionID: "v1", TTL: time.Hour + time.Duration(which[1])*time.Minute,
			})
			if err != nil {
				t.Fatal(err)
			}
			urls[which] = signed.URL
		}
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, urls[which], nil)
		r.Header.Set("Range", "bytes=0-")
		front.ServeHTTP(w, r)
		if w.Code != http.StatusPartialContent || w.Body.String() != content {
			t.Fatalf("%s: %d %s", urls[which], w.Code, w.Body)
		}
		if w.Header().Get("X-Cache") == "Hit from cloudfront" {
			hits++
		}
	}
	if share := float64(hits) / plays; share < 0.95 || origin.asked != plays-hits {
		t.Errorf("%.1f %% of the plays were hits; the bucket was asked %d times", 100*share, origin.asked)
	}
}
