package auth

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"slices"

	"github.com/MicahParks/jwkset"
	"github.com/golang-jwt/jwt/v5"
)

// minRSABits is what RFC 7518 (section 3.3) demands of the keys of RS256.
const minRSABits = 2048

var (
	errUnknownKey = errors.New("no key has the token's kid")
	errOtherKey   = errors.New("the token's key is not one for its algorithm")
)

// publicKey verifies signatures of one algorithm.
type publicKey struct {
	id        string // kid; empty: it has none
	algorithm string // of jwt
	key       crypto.PublicKey
}

// parseKeys reads a JWKS (RFC 7517). A key that is of no use here is passed over: another
// program's, or a kind that is not known yet.
func parseKeys(body []byte) ([]publicKey, error) {
	set, err := exactly(body)
	if err != nil {
		return nil, err
	}
	var items []json.RawMessage
	if err := json.Unmarshal(set["keys"], &items); err != nil {
		return nil, errors.New("the answer is no set of keys")
	}
	var keys []publicKey
	for _, item := range items {
		if k, ok := parseKey(item); ok {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// exactly reads an object whose names count to the letter.
func exactly(object json.RawMessage) (map[string]json.RawMessage, error) {
	var named map[string]json.RawMessage
	err := json.Unmarshal(object, &named)
	return named, err
}

// parseKey reads one key: what it is, and what it says that it is for (use, key_ops, alg),
// all of which must fit one of the algorithms that tokens may have.
func parseKey(object json.RawMessage) (publicKey, bool) {
	named, err := exactly(object)
	if err != nil {
		return publicKey{}, false
	}
	// Only what a public key is made of; certificates (x5c, x5u) vouch for nothing here.
	made := make(map[string]json.RawMessage)
	for _, name := range []string{"kty", "use", "key_ops", "alg", "kid", "crv", "x", "y", "n", "e"} {
		if value, there := named[name]; there {
			made[name] = value
		}
	}
	text, err := json.Marshal(made)
	if err != nil {
		return publicKey{}, false
	}
	var m jwkset.JWKMarshal
	if json.Unmarshal(text, &m) != nil {
		return publicKey{}, false
	}
	_, hasOps := made["key_ops"]
	if m.USE != "" && m.USE != jwkset.UseSig || hasOps && !slices.Contains(m.KEYOPS, jwkset.KeyOpsVerify) {
		return publicKey{}, false
	}
	parsed, err := jwkset.NewJWKFromMarshal(m, jwkset.JWKMarshalOptions{}, jwkset.JWKValidateOptions{})
	if err != nil {
		return publicKey{}, false
	}
	k := publicKey{id: m.KID, key: parsed.Key()}
	k.algorithm = algorithmOf(k.key)
	return k, k.algorithm != "" && (m.ALG == "" || string(m.ALG) == k.algorithm || m.CRV == "Ed25519" && m.ALG == "Ed25519") // RFC 9864
}

// algorithmOf is the algorithm whose signatures a key verifies; "": none that tokens may have.
func algorithmOf(key crypto.PublicKey) string {
	switch key := key.(type) {
	case *rsa.PublicKey:
		if key.N.BitLen() >= minRSABits {
			return jwt.SigningMethodRS256.Alg()
		}
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P256() {
			return jwt.SigningMethodES256.Alg()
		}
	case ed25519.PublicKey:
		return jwt.SigningMethodEdDSA.Alg()
	}
	return ""
}

// find returns the keys that a token's signature may be of: those of its kid, or, where it
// names none, all that are for its algorithm.
func find(keys []publicKey, token *jwt.Token) (any, error) {
	named, hasID := token.Header["kid"]
	id, isText := named.(string)
	if hasID && !isText {
		return nil, errOtherKey
	}
	known := !hasID
	var fit jwt.VerificationKeySet
	for _, k := range keys {
		if hasID && k.id != id {
			continue
		}
		known = true
		if k.algorithm == token.Method.Alg() {
			fit.Keys = append(fit.Keys, k.key)
		}
	}
	switch {
	case !known:
		return nil, errUnknownKey
	case len(fit.Keys) == 0:
		return nil, errOtherKey
	}
	return fit, nil
}
