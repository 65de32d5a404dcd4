package config

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/url"
	"strings"
)

// CDN is a CloudFront distribution before the bucket, by which tracks are played. All fields
// are set or none is.
type CDN struct {
	URL   *url.URL // of the distribution, without a path
	KeyID string   // of the public key, as CloudFront names it
	Key   crypto.Signer
}

// Enabled reports whether there is one.
func (c CDN) Enabled() bool { return c.URL != nil }

// cdn reads and checks by rule 13.
func (l *loader) cdn() CDN {
	pemText := get[Secret](l, "PLAYBACK_CDN_PRIVATE_KEY")
	c := CDN{URL: l.endpoint("PLAYBACK_CDN_URL"), KeyID: get[string](l, "PLAYBACK_CDN_KEY_ID")}
	if c.URL == nil && c.KeyID == "" && pemText.IsZero() {
		return CDN{}
	}
	for name, set := range map[string]bool{
		"PLAYBACK_CDN_URL": c.URL != nil || l.getenv("PLAYBACK_CDN_URL") != "", "PLAYBACK_CDN_KEY_ID": c.KeyID != "", "PLAYBACK_CDN_PRIVATE_KEY": !pemText.IsZero(),
	} {
		if !set {
			l.fail(name, "is not set, and other variables of the CDN are", "the three come together")
		}
	}
	if c.URL != nil && c.URL.Path != "" {
		l.fail("PLAYBACK_CDN_URL", "has a path", "the path is the object's key")
	}
	if !isOf(c.KeyID, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") {
		l.fail("PLAYBACK_CDN_KEY_ID", "is not the id of a key", "CloudFront shows it beside the public key, such as K2JCJMDEHXQW5F")
	}
	if !pemText.IsZero() {
		if c.Key = signingKey(pemText.Reveal()); c.Key == nil {
			l.fail("PLAYBACK_CDN_PRIVATE_KEY", "is not the PEM of a private key that CloudFront takes: RSA of 2,048 bits, or ECDSA over P-256",
				"make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256")
		}
	}
	return c
}

// signingKey reads a key in any of the forms that openssl writes; nil: it is none. Its lines
// may be separated by \n in letters, as some consoles keep them.
func signingKey(text string) crypto.Signer {
	block, _ := pem.Decode([]byte(strings.ReplaceAll(text, `\n`, "\n")))
	if block == nil {
		return nil
	}
	var key any
	var err error
	switch block.Type {
	case "RSA PRIVATE KEY":
		key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
	case "EC PRIVATE KEY":
		key, err = x509.ParseECPrivateKey(block.Bytes)
	default:
		key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
	}
	if err != nil {
		return nil
	}
	switch key := key.(type) {
	case *rsa.PrivateKey:
		if key.N.BitLen() == 2048 {
			return key
		}
	case *ecdsa.PrivateKey:
		if key.Curve == elliptic.P256() {
			return key
		}
	}
	return nil
}
