package auth_test

import (
	"crypto/ed25519"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/track"
)

const secret = "0123456789abcdef0123456789abcdef"

var (
	user     = track.ID{0x01, 0x94, 0x2f, 0x66, 0x70, 0x7c, 0x7d, 0x9d, 0x80, 0x01, 15: 0x2a}
	byKey    = config.Auth{Secret: config.NewSecret(secret)}
	expected = config.Auth{Secret: config.NewSecret(secret), Issuer: "https://login.example.com/", Audience: "trackstore"}
)

// claims are good ones, with changes; a nil value removes a claim.
func claims(changes jwt.MapClaims) jwt.MapClaims {
	all := jwt.MapClaims{"sub": user.String(), "exp": time.Now().Add(time.Minute).Unix()}
	for name, value := range changes {
		all[name] = value
		if value == nil {
			delete(all, name)
		}
	}
	return all
}

func sign(t testing.TB, method jwt.SigningMethod, key any, c jwt.MapClaims, header ...string) string {
	t.Helper()
	token := jwt.NewWithClaims(method, c)
	for i := 0; i < len(header); i += 2 {
		token.Header[header[i]] = header[i+1]
	}
	signed, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func hs256(t testing.TB, c jwt.MapClaims) string {
	return sign(t, jwt.SigningMethodHS256, []byte(secret), c)
}

// withCrit is a good token, but for the header's crit.
func withCrit(t testing.TB, crit any) string {
	t.Helper()
	token := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil))
	token.Header["crit"] = crit
	signed, err := token.SignedString([]byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func request(t testing.TB, authorization ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header["Authorization"] = authorization
	return r
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		cfg    config.Auth
		claims jwt.MapClaims
	}{
		{"plain", byKey, nil},
		{"issuer and audience that nobody asks for", byKey, jwt.MapClaims{"iss": "x", "aud": "y"}},
		{"issuer and audience", expected, jwt.MapClaims{"iss": "https://login.example.com/", "aud": "trackstore"}},
		{"one audience of many", expected, jwt.MapClaims{"iss": "https://login.example.com/", "aud": []string{"x", "trackstore"}}},
		{"issuer's clock ahead", byKey, jwt.MapClaims{"nbf": time.Now().Add(10 * time.Second).Unix(), "iat": time.Now().Add(10 * time.Second).Unix()}},
		{"fractions of a second", byKey, jwt.MapClaims{"exp": float64(time.Now().Unix()) + 60.5}},
		{"upper case", byKey, jwt.MapClaims{"sub": strings.ToUpper(user.String())}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.New(test.cfg).UserID(request(t, "Bearer "+hs256(t, claims(test.claims))))
			if err != nil || got != user {
				t.Errorf("the user is %v, %v", got, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	good := hs256(t, claims(nil))
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	jwks := byKey
	jwks.JWKS = &url.URL{Scheme: "http", Host: "127.0.0.1:1"} // never asked
	for _, test := range []struct {
		name          string
		cfg           config.Auth
		authorization string
		reason        string
	}{
		{"rubbish", byKey, "Bearer rubbish", "malformed"},
		{"empty token", byKey, "Bearer ", "malformed"},
		{"NUL", byKey, "Bearer \x00", "malformed"},
		{"three dots", byKey, "Bearer ...", "malformed"},
		{"no alg", byKey, "Bearer e30.e30.e30", "algorithm"},
		{"too long", byKey, "Bearer " + strings.Repeat("a", 9000), "too long"},
		{"two tokens", byKey, "Bearer " + good + " " + good, "malformed"},
		{"two in one header", byKey, "Bearer " + good + ",Bearer " + good, "malformed"},
		{"signature cut off", byKey, "Bearer " + good[:len(good)-2], "malformed"}, // and so no base64,
		{"no signature", byKey, "Bearer " + good[:strings.LastIndex(good, ".")+1], "signature"},
		{"another key", byKey, "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another"), claims(nil)), "signature"},
		{"alg none", byKey, "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)), "algorithm"},
		{"HS512", byKey, "Bearer " + sign(t, jwt.SigningMethodHS512, []byte(secret), claims(nil)), "algorithm"},
		{"EdDSA without JWKS", byKey, "Bearer " + sign(t, jwt.SigningMethodEdDSA, private, claims(nil)), "algorithm"},
		{"alg none beside JWKS", jwks, "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims(nil)), "algorithm"},
		{"no key at all", config.Auth{}, "Bearer " + sign(t, jwt.SigningMethodHS256, []byte{}, claims(nil)), "algorithm"},
		{"expired", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": now.Add(-time.Second).Unix()})), "expired"},
		{"expired long ago", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": now.Add(-time.Hour).Unix()})), "expired"},
		{"no exp", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": nil})), "lacks a claim: exp"},
		{"exp is text", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": "tomorrow"})), "malformed"},
		{"not yet valid", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"nbf": now.Add(time.Minute).Unix()})), "not valid yet"},
		{"no issuer", expected, "Bearer " + hs256(t, claims(jwt.MapClaims{"aud": "trackstore"})), "lacks a claim"},
		{"another issuer", expected, "Bearer " + hs256(t, claims(jwt.MapClaims{"aud": "trackstore", "iss": "x"})), "another issuer"},
		{"no audience", expected, "Bearer " + hs256(t, claims(jwt.MapClaims{"iss": expected.Issuer})), "lacks a claim"},
		{"another audience", expected, "Bearer " + hs256(t, claims(jwt.MapClaims{"iss": expected.Issuer, "aud": "x"})), "another audience"},
		{"sub is no UUID", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"sub": "alice"})), "sub"},
		{"sub is the nil UUID", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"sub": track.ID{}.String()})), "sub"},
		{"no sub", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"sub": nil})), "sub"},
		{"another sub in another case", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"sub": nil, "Sub": user.String()})), "sub"},
		{"exp in another case", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": nil, "EXP": now.Add(time.Hour).Unix()})), "lacks a claim: exp"},
		{"exp is a number as text", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": "99999999999"})), "malformed"},
		{"exp long past all arithmetic", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"exp": -1e300})), "expired"},
		{"aud holds a number", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"aud": []any{"trackstore", 7}})), "malformed"},
		{"iss is a list", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"iss": []string{"x"}})), "malformed"},
		{"crit names what nobody knows", byKey, "Bearer " + withCrit(t, []string{"exp2"}), "crit"},
		{"an empty crit", byKey, "Bearer " + withCrit(t, []string{}), "crit"},
		{"crit is null", byKey, "Bearer " + withCrit(t, nil), "crit"},
		{"sub is a number", byKey, "Bearer " + hs256(t, claims(jwt.MapClaims{"sub": 7})), "malformed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := auth.New(test.cfg).UserID(request(t, test.authorization))
			var refusal *auth.Error
			if !errors.As(err, &refusal) || !strings.Contains(refusal.Reason, test.reason) || !got.IsZero() {
				t.Fatalf("the user is %v, the error %v, not %q", got, err, test.reason)
			}
			if c := refusal.Challenge(); !strings.HasPrefix(c, `Bearer error="invalid_token", error_description="`) || strings.Count(c, `"`) != 4 {
				t.Errorf("the challenge is %s", c)
			}
		})
	}
}

func TestNoToken(t *testing.T) {
	t.Parallel()
	good := hs256(t, claims(nil))
	for name, values := range map[string][]string{
		"no header":    nil,
		"empty header": {""},
		"basic":        {"Basic dXNlcjpwYXNz"},
		"bare token":   {good},
		"another word": {"Bearers " + good},
	} {
		_, err := auth.New(byKey).UserID(request(t, values...))
		var refusal *auth.Error
		if !errors.As(err, &refusal) || refusal.Challenge() != "Bearer" {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := auth.New(byKey).UserID(request(t, "Bearer "+good, "Bearer "+good)); err == nil {
		t.Error("two headers are accepted")
	}
}

func TestSchemeInAnyCase(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"bearer ", "BEARER ", "Bearer  "} {
		if got, err := auth.New(byKey).UserID(request(t, scheme+hs256(t, claims(nil)))); err != nil || got != user {
			t.Errorf("%q: %v, %v", scheme, got, err)
		}
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	for _, cfg := range []config.Auth{byKey, expected} {
		token, err := auth.Sign(cfg, user, time.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		if got, err := auth.New(cfg).UserID(request(t, "Bearer "+token)); err != nil || got != user {
			t.Errorf("the user is %v, %v", got, err)
		}
	}
	if _, err := auth.Sign(config.Auth{}, user, time.Now()); err == nil {
		t.Error("signed without a secret")
	}
}

func FuzzAuthorization(f *testing.F) {
	v := auth.New(byKey)
	f.Add("Bearer " + hs256(f, claims(nil)))
	f.Add("Bearer a.b.c")
	f.Add("Bearer eyJhbGciOiJub25lIn0.e30.")
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		got, err := v.UserID(request(t, header))
		var refusal *auth.Error
		switch {
		case err == nil && got == user: // a seed as it was, but for spaces and the scheme's case
		case errors.As(err, &refusal) && got.IsZero():
			if c := refusal.Challenge(); strings.ContainsAny(c, "\r\n") {
				t.Errorf("the challenge is %q", c)
			}
		default:
			t.Errorf("the user is %v, %v", got, err)
		}
	})
}

func BenchmarkHS256(b *testing.B) {
	v := auth.New(byKey)
	r := request(b, "Bearer "+hs256(b, jwt.MapClaims{"sub": user.String(), "exp": time.Now().Add(time.Hour).Unix()}))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.UserID(r); err != nil {
			b.Fatal(err)
		}
	}
}

// "Sub" beside "sub" is another claim, and nobody else's name.
func TestClaimsMatchToTheLetter(t *testing.T) {
	t.Parallel()
	other := track.NewID().String()
	for _, changes := range []jwt.MapClaims{
		{"Sub": other, "SUB": other, "ſub": other}, {"Exp": 1, "NBF": 1e12, "Iss": "x", "Aud": 7, "Scope": 7},
		{"exp": 1e300}, {"exp": float64(time.Now().Unix()) + 60.5, "iat": time.Now().Unix(), "nbf": 0.5},
	} {
		if got, err := auth.New(byKey).UserID(request(t, "Bearer "+hs256(t, claims(changes)))); err != nil || got != user {
			t.Errorf("%v: the user is %v, %v", changes, got, err)
		}
	}
}

func TestListeners(t *testing.T) {
	t.Parallel()
	scoped := byKey
	scoped.PlaybackScope = "tracks:play"
	for _, test := range []struct {
		name     string
		cfg      config.Auth
		claims   jwt.MapClaims
		user     track.ID
		playsAll bool
		refused  bool
	}{
		{"a user", scoped, nil, user, false, false},
		{"a user with other scopes", scoped, jwt.MapClaims{"scope": "tracks tracks:playing xtracks:play TRACKS:PLAY"}, user, false, false},
		{"a user with the scope", scoped, jwt.MapClaims{"scope": "openid tracks:play"}, user, true, false},
		{"a service", scoped, jwt.MapClaims{"sub": "stream-server", "scope": "tracks:play"}, track.ID{}, true, false},
		{"a list", scoped, jwt.MapClaims{"sub": "stream-server", "scp": []string{"a", "tracks:play"}}, track.ID{}, true, false},
		{"scp as text", scoped, jwt.MapClaims{"sub": "stream-server", "scp": "a tracks:play"}, track.ID{}, true, false},
		{"no sub at all", scoped, jwt.MapClaims{"sub": nil, "scope": "tracks:play"}, track.ID{}, true, false},
		{"a service without the scope", scoped, jwt.MapClaims{"sub": "stream-server", "scope": "tracks"}, track.ID{}, false, true},
		{"the scope in another case", scoped, jwt.MapClaims{"sub": "stream-server", "Scope": "tracks:play"}, track.ID{}, false, true},
		{"no scope is set", byKey, jwt.MapClaims{"sub": "stream-server", "scope": "tracks:play"}, track.ID{}, false, true},
		{"an empty scope", byKey, jwt.MapClaims{"sub": "stream-server", "scope": ""}, track.ID{}, false, true},
		{"a scope that is a number", scoped, jwt.MapClaims{"scope": 7}, track.ID{}, false, true},
		{"a token that is over", scoped, jwt.MapClaims{"exp": 1, "scope": "tracks:play"}, track.ID{}, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, playsAll, err := auth.New(test.cfg).Listener(request(t, "Bearer "+hs256(t, claims(test.claims))))
			var refusal *auth.Error
			if got != test.user || playsAll != test.playsAll || errors.As(err, &refusal) != test.refused || !test.refused && err != nil {
				t.Errorf("user %v, plays all %t, %v", got, playsAll, err)
			}
		})
	}
	if _, err := auth.New(scoped).UserID(request(t, "Bearer "+hs256(t, claims(jwt.MapClaims{"sub": "x", "scope": "tracks:play"})))); err == nil {
		t.Error("the scope makes a user of anybody")
	}
}
