package s3store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// signer makes signatures of version 4 for what others will send: URLs and forms. The
// SDK's signer does the same to a whole request, at several times the cost.
type signer struct {
	region      string
	credentials aws.CredentialsProvider
	last        atomic.Pointer[dayKey]
}

// dayKey is derived from the credentials once a day, or when they change.
type dayKey struct {
	day, secret string
	key         []byte
}

const algorithm = "AWS4-HMAC-SHA256"

// signing is a moment's part in each signature.
type signing struct {
	at         time.Time // whole seconds
	date       string    // as X-Amz-Date has it
	scope      string
	credential string // as X-Amz-Credential has it
	token      string // as X-Amz-Security-Token has it; empty: none
	key        []byte
	keysEnd    time.Time // zero: not known
}

func (s *signer) begin(ctx context.Context) (signing, error) {
	credentials, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return signing{}, err
	}
	at := time.Now().UTC().Truncate(time.Second)
	date := at.Format("20060102T150405Z")
	day := date[:8]
	scope := day + "/" + s.region + "/s3/aws4_request"
	var keysEnd time.Time
	if credentials.CanExpire {
		keysEnd = credentials.Expires
	}
	return signing{
		at:         at,
		date:       date,
		scope:      scope,
		credential: credentials.AccessKeyID + "/" + scope,
		token:      credentials.SessionToken,
		key:        s.key(day, credentials.SecretAccessKey),
		keysEnd:    keysEnd,
	}, nil
}

// life shortens ttl where the keys end before: S3 refuses what they signed from then on.
func (s signing) life(ttl time.Duration) time.Duration {
	if s.keysEnd.IsZero() {
		return ttl
	}
	return min(ttl, s.keysEnd.Sub(s.at).Truncate(time.Second))
}

func (s *signer) key(day, secret string) []byte {
	if k := s.last.Load(); k != nil && k.day == day && k.secret == secret {
		return k.key
	}
	key := []byte("AWS4" + secret)
	for _, part := range []string{day, s.region, "s3", "aws4_request"} {
		key = mac(key, part)
	}
	s.last.Store(&dayKey{day, secret, key})
	return key
}

// request signs the canonical form of a request.
func (s signing) request(canonical string) string {
	hash := sha256.Sum256([]byte(canonical))
	return s.sign(algorithm + "\n" + s.date + "\n" + s.scope + "\n" + hex.EncodeToString(hash[:]))
}

func (s signing) sign(text string) string { return hex.EncodeToString(mac(s.key, text)) }

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}
