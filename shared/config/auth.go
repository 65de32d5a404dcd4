package config

import (
	"fmt"
	"net/url"
	"strings"
)

// Auth says how tokens are verified. At least one of Secret and JWKS is set.
type Auth struct {
	Secret   Secret   // of HS256
	JWKS     *url.URL // of RS256, ES256 and EdDSA
	Issuer   string   // "": any
	Audience string   // "": any

	PlaybackScope string // the scope of tokens that may play every track
}

// auth reads and checks by rule 3.
func (l *loader) auth() Auth {
	a := Auth{
		Secret:   get[Secret](l, "JWT_SECRET"),
		JWKS:     get[*url.URL](l, "JWT_JWKS_URL"),
		Issuer:   get[string](l, "JWT_ISSUER"),
		Audience: get[string](l, "JWT_AUDIENCE"),

		PlaybackScope: get[string](l, "PLAYBACK_SCOPE"),
	}
	if strings.ContainsFunc(a.PlaybackScope, func(c rune) bool { return c <= ' ' || c > '~' || c == '"' || c == '\\' }) {
		l.fail("PLAYBACK_SCOPE", "is not one scope", "visible ASCII without spaces, quotes and backslashes (RFC 6749, section 3.3)")
	}
	switch {
	case !a.Secret.IsZero():
		l.strong("JWT_SECRET", a.Secret)
	case a.JWKS == nil && l.getenv("JWT_JWKS_URL") == "": // one that cannot be read is reported already
		l.fail("JWT_SECRET", "is not set, nor is JWT_JWKS_URL", "make one with: openssl rand -base64 48")
	}
	if a.JWKS != nil {
		l.secure("JWT_JWKS_URL", a.JWKS)
		if l.strict && a.Issuer == "" && a.Audience == "" {
			l.warn("JWT_JWKS_URL", "goes without JWT_ISSUER and JWT_AUDIENCE", "set one: otherwise every token of that server is taken, also those that it made for other programs")
		}
	}
	return a
}

// strong asks for a key as long as the SHA-256 that it feeds.
func (l *loader) strong(name string, s Secret) {
	if n := len(s.Reveal()); n < 32 {
		l.distrust(name, fmt.Sprintf("has %d bytes, fewer than 32", n), "make one with: openssl rand -base64 48")
	}
}
