// Package auth tells who sends a request, by the JWT in its Authorization header.
package auth

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/shared/config"
	"trackstore/shared/track"
)

const (
	// clockSkew is how early a token may be used, where its issuer's clock is ahead of ours.
	// A token that has expired is never taken.
	clockSkew = 30 * time.Second
	// maxToken bounds what is parsed for a stranger, in bytes. Headers as a whole end at 10 KiB in an HTTP API.
	maxToken = 8 << 10
)

// Error says why a request is not authorized: answer 401, with its Challenge.
type Error struct {
	Reason string // for the client
	absent bool   // there was no token at all
}

func (e *Error) Error() string { return e.Reason }

// Challenge is the value of the answer's WWW-Authenticate header (RFC 6750, section 3).
func (e *Error) Challenge() string {
	if e.absent {
		return "Bearer"
	}
	return `Bearer error="invalid_token", error_description="` + e.Reason + `"`
}

// Verifier checks tokens. It is safe for concurrent use.
type Verifier struct {
	secret config.Secret
	keys   *keySet // nil: no JWKS
	parser *jwt.Parser
	scope  string // of tokens that play every track
}

// New returns a Verifier of tokens signed with HS256 by the secret, or with RS256, ES256 or EdDSA by a
// key of the JWKS server, whichever of the two is set. The server is first asked when a
// token needs it.
func New(cfg config.Auth) *Verifier {
	v := &Verifier{secret: cfg.Secret, scope: cfg.PlaybackScope}
	algorithms := []string{} // not nil, which would be every algorithm
	if !cfg.Secret.IsZero() {
		algorithms = append(algorithms, "HS256")
	}
	if cfg.JWKS != nil {
		algorithms = append(algorithms, "RS256", "ES256", "EdDSA")
		v.keys = newKeySet(cfg.JWKS.String())
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(algorithms), jwt.WithExpirationRequired(), jwt.WithLeeway(clockSkew), jwt.WithStrictDecoding(),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if cfg.Audience != "" {
		options = append(options, jwt.WithAudience(cfg.Audience))
	}
	v.parser = jwt.NewParser(options...)
	return v
}

// UserID returns the user whom the request's bearer token names. The error is an *Error,
// or wraps track.ErrUnavailable where the keys cannot be had: the token may be good.
func (v *Verifier) UserID(r *http.Request) (track.ID, error) {
	c, err := v.claims(r)
	if err != nil {
		return track.ID{}, err
	}
	return userOf(c)
}

// Listener returns the user whom the request's bearer token names, and whether its scope
// lets it play every track; then the user is zero where the token's sub is not a user's.
// Errors are those of UserID.
func (v *Verifier) Listener(r *http.Request) (user track.ID, playsAll bool, err error) {
	c, err := v.claims(r)
	if err != nil {
		return track.ID{}, false, err
	}
	user, err = userOf(c)
	if v.scope != "" && slices.Contains(c.scopes, v.scope) {
		return user, true, nil
	}
	return user, false, err
}

// claims returns what the request's bearer token says, once it is verified.
func (v *Verifier) claims(r *http.Request) (claims, error) {
	var c claims
	token, err := bearer(r.Header.Values("Authorization"))
	if err != nil {
		return c, err
	}
	if _, err := v.parser.ParseWithClaims(token, &c, v.key(r.Context())); err != nil {
		if errors.Is(err, track.ErrUnavailable) {
			return c, err
		}
		return c, &Error{Reason: reason(err)}
	}
	if !time.Now().Before(c.ExpiresAt.Time) { // the parser allows for clockSkew
		return c, &Error{Reason: reason(jwt.ErrTokenExpired)}
	}
	return c, nil
}

func userOf(c claims) (track.ID, error) {
	user, err := track.ParseID(c.Subject)
	if err != nil || user.IsZero() {
		return track.ID{}, &Error{Reason: "the token's sub is not a user's UUID"}
	}
	return user, nil
}

var errCrit = errors.New("the token's crit names what is not understood here")

// key returns the key that a token is to be verified with. The parser has let through only the
// algorithms of New, and the kind of key follows from the algorithm: a public key never
// serves as an HMAC secret.
func (v *Verifier) key(ctx context.Context) jwt.Keyfunc {
	return func(token *jwt.Token) (any, error) {
		if _, there := token.Header["crit"]; there { // RFC 7515, section 4.1.11: none of what it may name is known here
			return nil, errCrit
		}
		if token.Method == jwt.SigningMethodHS256 {
			return []byte(v.secret.Reveal()), nil
		}
		return v.keys.key(ctx, token)
	}
}

// bearer takes the token out of the values of the Authorization header.
func bearer(values []string) (string, error) {
	if len(values) == 0 {
		return "", &Error{Reason: "there is no Authorization header", absent: true}
	}
	scheme, token, _ := strings.Cut(values[0], " ")
	token = strings.Trim(token, " ")
	switch {
	case len(values) > 1:
		return "", &Error{Reason: "there is more than one Authorization header"}
	case !strings.EqualFold(scheme, "Bearer"):
		return "", &Error{Reason: "the Authorization header is not of the form: Bearer, space, token", absent: true}
	case len(token) > maxToken:
		return "", &Error{Reason: "the token is too long"}
	}
	return token, nil
}

// reason puts the parser's error into words for the client.
func reason(err error) string {
	for _, r := range []struct {
		err  error
		text string
	}{
		{errCrit, errCrit.Error()},
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks a claim: exp, or the expected iss or aud"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenInvalidIssuer, "the token is from another issuer"},
		{jwt.ErrTokenSignatureInvalid, "the token's signature or its algorithm is not accepted"},
		{jwt.ErrTokenUnverifiable, "the token's key or algorithm is not known"},
	} {
		if errors.Is(err, r.err) {
			return r.text
		}
	}
	return "the token is malformed"
}

// Sign returns a token of a user that a Verifier of the same configuration takes until
// expires. It needs the secret.
func Sign(cfg config.Auth, user track.ID, expires time.Time) (string, error) {
	if cfg.Secret.IsZero() {
		return "", errors.New("there is no secret to sign a token with")
	}
	claims := jwt.RegisteredClaims{Subject: user.String(), Issuer: cfg.Issuer, ExpiresAt: jwt.NewNumericDate(expires)}
	if cfg.Audience != "" {
		claims.Audience = jwt.ClaimStrings{cfg.Audience}
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, claims).SignedString([]byte(cfg.Secret.Reveal()))
}
