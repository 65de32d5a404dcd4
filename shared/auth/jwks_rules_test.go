package auth_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

// publishAs publishes one key with changes to what it says of itself; nil takes a member out.
func (s *jwksServer) publishAs(t *testing.T, key crypto.Signer, changes map[string]any) {
	t.Helper()
	s.publish(t, map[string]crypto.Signer{"k": key})
	var set struct{ Keys []map[string]any }
	if err := json.Unmarshal(s.body, &set); err != nil {
		t.Fatal(err)
	}
	for name, value := range changes {
		set.Keys[0][name] = value
		if value == nil {
			delete(set.Keys[0], name)
		}
	}
	body, err := json.Marshal(map[string]any{"keys": set.Keys})
	if err != nil {
		t.Fatal(err)
	}
	s.answer(body)
}

func TestAKeyIsForWhatItSays(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "k")
	for _, test := range []struct {
		name    string
		changes map[string]any
		taken   bool
	}{
		{"as it is", nil, true},
		{"no use", map[string]any{"use": nil}, true},
		{"its algorithm", map[string]any{"alg": "ES256"}, true},
		{"another algorithm", map[string]any{"alg": "ES384"}, false},
		{"an algorithm of another kind of key", map[string]any{"alg": "RS256"}, false},
		{"for encryption", map[string]any{"use": "enc"}, false},
		{"for encryption, by key_ops", map[string]any{"use": nil, "key_ops": []string{"encrypt"}}, false},
		{"for signing alone", map[string]any{"key_ops": []string{"sign"}}, false},
		{"for nothing", map[string]any{"key_ops": []string{}}, false},
		{"for verifying", map[string]any{"key_ops": []string{"verify"}}, true},
		{"another kind", map[string]any{"kty": "OKP"}, false},
		{"another curve", map[string]any{"crv": "P-384"}, false},
		{"members in another case", map[string]any{"Kty": "EC", "kty": nil}, false},
		{"use in another case says nothing", map[string]any{"Use": "enc"}, true},
		{"a certificate that cannot be read", map[string]any{"x5c": []string{"rubbish"}, "x5u": "http://127.0.0.1:1/"}, true},
	} {
		s := newJWKSServer(t)
		s.publishAs(t, ec, test.changes)
		_, err := s.verifier(t, config.Auth{}).UserID(request(t, good))
		if (err == nil) != test.taken {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

func TestShortRSAKeysAreRefused(t *testing.T) {
	t.Parallel()
	for bits, taken := range map[int]bool{1024: false, 2047: false, 2048: true} {
		key, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			t.Fatal(err)
		}
		s := newJWKSServer(t)
		s.publish(t, map[string]crypto.Signer{"k": key, "other": ecKey(t)})
		_, err = s.verifier(t, config.Auth{}).UserID(request(t, "Bearer "+sign(t, jwt.SigningMethodRS256, key, claims(nil), "kid", "k")))
		var refusal *auth.Error
		if taken && err != nil || !taken && !errors.As(err, &refusal) {
			t.Errorf("%d bits: %v", bits, err)
		}
	}
}

// An answer of no use does not end all tokens.
func TestTheLastGoodKeysStay(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "k")
	unknown := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "new") // has the server asked again
	for name, body := range map[string]string{
		"no keys": `{"keys":[]}`, "null": `{"keys":null}`, "an empty object": `{}`, "an empty answer": "", "a list": `[]`,
		"keys of other kinds": `{"keys":[{"kty":"oct","k":"AAAA","kid":"k"},{"kty":"OKP","crv":"X25519","x":"AAAA"},7]}`,
		"in another case":     `{"Keys":[]}`, "too large": `{"keys":[` + strings.Repeat(" ", 1<<20) + `]}`,
	} {
		s := newJWKSServer(t)
		v := s.verifier(t, config.Auth{})
		s.answer([]byte(body))
		if _, err := v.UserID(request(t, good)); !errors.Is(err, track.ErrUnavailable) {
			t.Errorf("%s, at first: %v", name, err)
		}
		s.publish(t, map[string]crypto.Signer{"k": ec})
		if _, err := v.UserID(request(t, good)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		s.answer([]byte(body))
		if _, err := v.UserID(request(t, unknown)); !errors.Is(err, track.ErrUnavailable) {
			t.Errorf("%s, an unknown key: %v", name, err)
		}
		if _, err := v.UserID(request(t, good)); err != nil {
			t.Errorf("%s: the good keys are gone: %v", name, err)
		}
	}
}

// at returns a verifier whose keys are at u.
func at(t *testing.T, u string) *auth.Verifier {
	t.Helper()
	parsed, err := url.Parse(u)
	if err != nil {
		t.Fatal(err)
	}
	return auth.New(config.Auth{JWKS: parsed})
}

func TestJWKSRedirects(t *testing.T) {
	t.Parallel()
	ec := ecKey(t)
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ec, claims(nil), "kid", "k")
	keys := newJWKSServer(t)
	keys.publish(t, map[string]crypto.Signer{"k": ec})
	moved := httptest.NewServer(http.RedirectHandler(keys.URL, http.StatusFound))
	t.Cleanup(moved.Close)
	if _, err := at(t, moved.URL).UserID(request(t, good)); err != nil {
		t.Errorf("one redirect: %v", err)
	}
	round := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/", http.StatusFound) }))
	t.Cleanup(round.Close)
	if _, err := at(t, round.URL).UserID(request(t, good)); !errors.Is(err, track.ErrUnavailable) {
		t.Errorf("in a circle: %v", err)
	}
}

// A server that is slow makes nobody wait twice.
func TestASlowJWKS(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })
	v := at(t, slow.URL)
	good := "Bearer " + sign(t, jwt.SigningMethodES256, ecKey(t), claims(nil), "kid", "k")
	began := time.Now()
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			if _, err := v.UserID(request(t, good)); !errors.Is(err, track.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	}
	group.Wait()
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("20 requests waited for %s", took)
	}
}
