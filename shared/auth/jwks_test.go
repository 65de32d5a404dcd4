package auth_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"

	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

// jwksServer publishes keys, and counts how often it is asked.
type jwksServer struct {
	*httptest.Server
	asked atomic.Int64
	mu    sync.Mutex
	body  []byte // nil: 500
}

func newJWKSServer(t *testing.T) *jwksServer {
	s := &jwksServer{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.asked.Add(1)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.body == nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = w.Write(s.body)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *jwksServer) answer(body []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.body = body
}

// publish makes the server answer with the public parts of keys, by key id.
func (s *jwksServer) publish(t *testing.T, keys map[string]crypto.Signer) {
	t.Helper()
	store := jwkset.NewMemoryStorage()
	for id, key := range keys {
		k, err := jwkset.NewJWKFromKey(key.Public(), jwkset.JWKOptions{Metadata: jwkset.JWKMetadataOptions{KID: id, USE: jwkset.UseSig}})
		if err != nil {
			t.Fatal(err)
		}
		if err := store.KeyWrite(t.Context(), k); err != nil {
			t.Fatal(err)
		}
	}
	body, err := store.JSONPublic(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.answer(body)
}

func (s *jwksServer) verifier(t *testing.T, cfg config.Auth) *auth.Verifier {
	t.Helper()
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	cfg.JWKS = u
	return auth.New(cfg)
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func ecKey(t *testing.T) *ecdsa.PrivateKey {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestJWKS(t *testing.T) {
	t.Parallel()
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	rs, ec := rsaKey(t), ecKey(t)
	s := newJWKSServer(t)
	s.publish(t, map[string]crypto.Signer{"rsa": rs, "ec": ec, "ed": ed})
	v := s.verifier(t, config.Auth{})
	if s.asked.Load() != 0 {
		t.Error("the server was asked before there was a token")
	}

	published, err := x509.MarshalPKIXPublicKey(rs.Public())
	if err != nil {
		t.Fatal(err)
	}
	asPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: published})
	for _, test := range []struct {
		name, token string
		accepted    bool
	}{
		{"RS256", sign(t, jwt.SigningMethodRS256, rs, claims(nil), "kid", "rsa"), true},
		{"ES256", sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "ec"), true},
		{"EdDSA", sign(t, jwt.SigningMethodEdDSA, ed, claims(nil), "kid", "ed"), true},
		{"no kid", sign(t, jwt.SigningMethodES256, ec, claims(nil)), true},
		{"the public key as a secret", sign(t, jwt.SigningMethodHS256, asPEM, claims(nil), "kid", "rsa"), false},
		{"the public key's bytes as a secret", sign(t, jwt.SigningMethodHS256, published, claims(nil), "kid", "rsa"), false},
		{"kid of another kind of key", sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "rsa"), false},
		{"key of somebody else", sign(t, jwt.SigningMethodES256, ecKey(t), claims(nil), "kid", "ec"), false},
		{"key of somebody else, no kid", sign(t, jwt.SigningMethodES256, ecKey(t), claims(nil)), false},
		{"PS256", sign(t, jwt.SigningMethodPS256, rs, claims(nil), "kid", "rsa"), false},
		{"expired", sign(t, jwt.SigningMethodES256, ec, claims(jwt.MapClaims{"exp": 1}), "kid", "ec"), false},
	} {
		got, err := v.UserID(request(t, "Bearer "+test.token))
		var refusal *auth.Error
		if test.accepted && (err != nil || got != user) || !test.accepted && !errors.As(err, &refusal) {
			t.Errorf("%s: %v, %v", test.name, got, err)
		}
	}
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}

func TestSecretBesideJWKS(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	s := newJWKSServer(t)
	s.publish(t, map[string]crypto.Signer{"ec": ec})
	v := s.verifier(t, byKey)
	if _, err := v.UserID(request(t, "Bearer "+hs256(t, claims(nil)))); err != nil || s.asked.Load() != 0 {
		t.Errorf("HS256: %v, asked %d times", err, s.asked.Load())
	}
	if _, err := v.UserID(request(t, "Bearer "+sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "ec"))); err != nil {
		t.Errorf("ES256: %v", err)
	}
}

// TestUnknownKindOfKeyIsPassedOver has a key in the set that this version of the libraries does not know.
func TestUnknownKindOfKeyIsPassedOver(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	s := newJWKSServer(t)
	s.publish(t, map[string]crypto.Signer{"ec": ec})
	known := string(s.body)
	s.answer([]byte(`{"keys":[{"kty":"OKP","crv":"Ed448","kid":"x","x":"AAAA"},` + known[len(`{"keys":[`):]))
	if _, err := s.verifier(t, config.Auth{}).UserID(request(t, "Bearer "+sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "ec"))); err != nil {
		t.Error(err)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	first, second := ecKey(t), ecKey(t)
	token := func(kid string, key crypto.Signer) string {
		return sign(t, jwt.SigningMethodES256, key, claims(nil), "kid", kid)
	}
	s := newJWKSServer(t)
	s.publish(t, map[string]crypto.Signer{"first": first})
	v := s.verifier(t, config.Auth{})
	if _, err := v.UserID(request(t, "Bearer "+token("first", first))); err != nil {
		t.Fatal(err)
	}
	s.publish(t, map[string]crypto.Signer{"second": second})
	if _, err := v.UserID(request(t, "Bearer "+token("second", second))); err != nil {
		t.Errorf("the new key: %v", err)
	}
	if _, err := v.UserID(request(t, "Bearer "+token("first", first))); err == nil {
		t.Error("the withdrawn key is accepted")
	}
	for range 100 {
		if _, err := v.UserID(request(t, "Bearer "+token("made up", ecKey(t)))); err == nil {
			t.Error("a made-up key is accepted")
		}
	}
	if n := s.asked.Load(); n > 10 {
		t.Errorf("made-up key ids asked the server %d times", n)
	}
}

func TestServerDown(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "ec")
	s := newJWKSServer(t)
	v := s.verifier(t, config.Auth{})

	unavailable := func(when, authorization string) {
		t.Helper()
		_, err := v.UserID(request(t, authorization))
		var refusal *auth.Error
		if !errors.Is(err, track.ErrUnavailable) || errors.As(err, &refusal) {
			t.Errorf("%s: %v", when, err)
		}
	}
	unavailable("500", good)
	s.answer([]byte("<html>"))
	unavailable("no JSON", good)

	s.publish(t, map[string]crypto.Signer{"ec": ec})
	if _, err := v.UserID(request(t, good)); err != nil {
		t.Errorf("up again: %v", err)
	}
	s.Close()
	if _, err := v.UserID(request(t, good)); err != nil {
		t.Errorf("a known key while the server is down: %v", err)
	}
	unavailable("an unknown key while the server is down", "Bearer "+sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "new"))
}

func TestConcurrentFirstRequests(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	s := newJWKSServer(t)
	s.publish(t, map[string]crypto.Signer{"ec": ec})
	v := s.verifier(t, config.Auth{})
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "ec")
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := v.UserID(request(t, good)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := s.asked.Load(); n != 1 {
		t.Errorf("the server was asked %d times", n)
	}
}
