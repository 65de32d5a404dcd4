package auth

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// claims are those of a token, read to the letter of RFC 7519. Package json alone would take
// names in any case ("Sub" for "sub"), so that a token could say two things.
type claims struct {
	jwt.RegisteredClaims
	scopes []string // of scope (RFC 8693, section 4.2) or scp
}

// UnmarshalJSON implements json.Unmarshaler.
func (c *claims) UnmarshalJSON(text []byte) error {
	var named map[string]json.RawMessage // whose keys are as the token has them
	if err := json.Unmarshal(text, &named); err != nil {
		return err
	}
	for name, read := range map[string]func(json.RawMessage) error{
		"iss":   stringClaim(&c.Issuer),
		"sub":   stringClaim(&c.Subject),
		"aud":   func(v json.RawMessage) error { return oneOrMany(v, (*[]string)(&c.Audience)) },
		"exp":   dateClaim(&c.ExpiresAt),
		"nbf":   dateClaim(&c.NotBefore),
		"iat":   dateClaim(&c.IssuedAt),
		"scope": c.readScopes,
		"scp":   c.readScopes,
	} {
		value, there := named[name]
		if !there {
			continue
		}
		if err := read(value); err != nil {
			return fmt.Errorf("claim %s: %w", name, err)
		}
	}
	return nil
}

func stringClaim(dst *string) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		if value[0] != '"' {
			return errors.New("is not a string")
		}
		return json.Unmarshal(value, dst)
	}
}

// dateClaim reads a number of seconds since 1970, whole or not.
func dateClaim(dst **jwt.NumericDate) func(json.RawMessage) error {
	return func(value json.RawMessage) error {
		var seconds *float64
		if err := json.Unmarshal(value, &seconds); err != nil || seconds == nil {
			return errors.New("is not a number")
		}
		const farthest = 1 << 40 // in 36,000 years: more than that does not fit the arithmetic of times
		whole, part := math.Modf(max(-farthest, min(*seconds, farthest)))
		*dst = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(part*1e9))}
		return nil
	}
}

func oneOrMany(value json.RawMessage, dst *[]string) error {
	if value[0] == '"' {
		*dst = make([]string, 1)
		return json.Unmarshal(value, &(*dst)[0])
	}
	var items []json.RawMessage
	if value[0] != '[' || json.Unmarshal(value, &items) != nil {
		return errors.New("is neither a string nor a list of strings")
	}
	for _, item := range items {
		var s string
		if err := stringClaim(&s)(item); err != nil {
			return err
		}
		*dst = append(*dst, s)
	}
	return nil
}

// readScopes reads a list of scopes, or one string with spaces between them.
func (c *claims) readScopes(value json.RawMessage) error {
	var all []string
	if err := oneOrMany(value, &all); err != nil {
		return err
	}
	for _, scopes := range all {
		c.scopes = append(c.scopes, strings.Fields(scopes)...)
	}
	return nil
}
