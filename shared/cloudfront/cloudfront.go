// Package cloudfront signs URLs of a CloudFront distribution that stands before the bucket.
//
// A URL has a canned policy: this path, with this version, until then. CloudFront takes what
// it signs off before it looks into its cache, so that every listener's URL of one version of
// one object leads to the same cached bytes.
package cloudfront

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"trackstore/shared/config"
	"trackstore/shared/track"
)

// The names in the query of a signed URL. VersionParam alone is part of the cache's key, and
// goes on to the bucket; it is what S3 calls it.
const (
	VersionParam   = "versionId"
	ExpiresParam   = "Expires"
	SignatureParam = "Signature"
	KeyParam       = "Key-Pair-Id"
	HashParam      = "Hash-Algorithm"
)

// Distribution signs URLs. It is safe for concurrent use.
type Distribution struct {
	base  string
	keyID string
	key   crypto.Signer
}

// New returns the distribution that cfg describes, which has a URL.
func New(cfg config.CDN) *Distribution {
	return &Distribution{strings.TrimSuffix(cfg.URL.String(), "/"), cfg.KeyID, cfg.Key}
}

// SignGet signs GETs, with any Range, and HEADs of one object: spec's key and version. What
// else the answer says of the bytes is the object's own, and the distribution's.
func (d *Distribution) SignGet(_ context.Context, spec track.GetSpec) (track.SignedURL, error) {
	resource := d.base + (&url.URL{Path: "/" + spec.Key}).EscapedPath()
	separator := "?"
	if spec.VersionID != "" {
		resource += "?" + VersionParam + "=" + url.QueryEscape(spec.VersionID)
		separator = "&"
	}
	expires := time.Unix(time.Now().Add(spec.TTL).Unix(), 0)
	hash := sha256.Sum256([]byte(CannedPolicy(resource, expires.Unix())))
	signature, err := d.key.Sign(rand.Reader, hash[:], crypto.SHA256)
	if err != nil {
		return track.SignedURL{}, fmt.Errorf("sign a CDN's URL of %q: %w", spec.Key, err)
	}
	return track.SignedURL{
		URL: resource + separator + ExpiresParam + "=" + strconv.FormatInt(expires.Unix(), 10) +
			"&" + SignatureParam + "=" + alphabet.Replace(base64.StdEncoding.EncodeToString(signature)) +
			"&" + KeyParam + "=" + d.keyID +
			"&" + HashParam + "=SHA256", // without it, CloudFront verifies SHA-1
		ExpiresAt: expires,
	}, nil
}

// CannedPolicy is what is signed: CloudFront makes the same text of a URL that it receives.
func CannedPolicy(resource string, expires int64) string {
	return fmt.Sprintf(`{"Statement":[{"Resource":"%s","Condition":{"DateLessThan":{"AWS:EpochTime":%d}}}]}`, resource, expires)
}

// alphabet puts base64 into characters that a query can have.
var alphabet = strings.NewReplacer("+", "-", "=", "_", "/", "~")
