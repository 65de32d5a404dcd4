package diskstore

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"trackstore/shared/track"
)

// What a signed URL binds stands in its query, and the signature covers method, key and
// query. Nobody but the server looks inside, so the names are ours.
const (
	paramExpires     = "expires" // seconds since 1970
	paramSize        = "size"
	paramType        = "type"
	paramAlgorithm   = "checksum-algorithm"
	paramChecksum    = "checksum"
	paramUpload      = "upload"
	paramPart        = "part"
	paramDisposition = "disposition"
	paramSignature   = "signature"
)

// SignPut signs one PUT. The URL binds the key, the exact length, the content type, the
// checksum where one is declared, and that the key is new; the server refuses anything else.
func (s *Store) SignPut(_ context.Context, spec track.PutSpec) (track.SignedPut, error) {
	if _, err := keyPath(spec.Key); err != nil {
		return track.SignedPut{}, err
	}
	query := url.Values{
		paramSize: {strconv.FormatInt(spec.Size, 10)},
		paramType: {spec.ContentType},
	}
	headers := map[string]string{
		"Content-Type":  spec.ContentType,
		"If-None-Match": "*",
	}
	bindChecksum(query, headers, spec.Checksum)
	put, err := s.sign(http.MethodPut, spec.Key, query, spec.TTL)
	return track.SignedPut{URL: put.URL, Headers: headers}, err
}

// SignGet signs GETs, with any Range, and HEADs of one file: its key, or the path that a
// track's row names.
func (s *Store) SignGet(_ context.Context, spec track.GetSpec) (track.SignedURL, error) {
	rel, err := s.locate(spec.Key)
	if err != nil {
		return track.SignedURL{}, failure("sign a URL of", spec.Key, err)
	}
	query := url.Values{}
	if spec.ContentType != "" {
		query.Set(paramType, spec.ContentType)
	}
	if spec.Disposition != "" {
		query.Set(paramDisposition, spec.Disposition)
	}
	return s.sign(http.MethodGet, rel, query, spec.TTL)
}

// SignPart signs the PUT of one part. The URL binds the part's exact length, where that is
// known, and its checksum, where one is declared; the server refuses anything else.
func (s *Store) SignPart(_ context.Context, spec track.PartSpec) (track.SignedPut, error) {
	query := url.Values{
		paramUpload: {spec.MultipartID},
		paramPart:   {strconv.Itoa(int(spec.Number))},
	}
	if spec.Size > 0 {
		query.Set(paramSize, strconv.FormatInt(spec.Size, 10))
	}
	headers := map[string]string{}
	bindChecksum(query, headers, spec.Checksum)
	put, err := s.sign(http.MethodPut, spec.Key, query, spec.TTL)
	return track.SignedPut{URL: put.URL, Headers: headers}, err
}

// bindChecksum has a URL bind a checksum, and the client send it. nil: none.
func bindChecksum(query url.Values, headers map[string]string, c *track.Checksum) {
	if c != nil {
		query.Set(paramAlgorithm, string(c.Algorithm))
		query.Set(paramChecksum, c.Value)
		headers[c.Algorithm.Header()] = c.Value
	}
}

func (s *Store) sign(method, key string, query url.Values, ttl time.Duration) (track.SignedURL, error) {
	if err := s.needServer(); err != nil {
		return track.SignedURL{}, failure("sign a URL of", key, err)
	}
	expires := time.Unix(time.Now().Add(ttl).Unix(), 0)
	query.Set(paramExpires, strconv.FormatInt(expires.Unix(), 10))
	query.Set(paramSignature, s.mac(method, key, query.Encode()))
	u := *s.cfg.URL
	u.Path += "/" + key
	u.RawQuery = query.Encode()
	return track.SignedURL{URL: u.String(), ExpiresAt: expires}, nil
}

func (s *Store) needServer() error {
	if s.cfg.URL == nil || len(s.cfg.Secret) == 0 {
		return fmt.Errorf("%w: local disk has no server, which needs a URL and a secret", track.ErrUnavailable)
	}
	return nil
}

// verify checks what sign signed. A HEAD is as good as a GET.
func (s *Store) verify(method, key string, query url.Values) error {
	if err := s.needServer(); err != nil {
		return err
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	signature := query.Get(paramSignature)
	query.Del(paramSignature)
	if !hmac.Equal([]byte(signature), []byte(s.mac(method, key, query.Encode()))) {
		return &refusal{http.StatusForbidden, "invalid_signature", "the signature does not fit the method, the key and the query"}
	}
	expires, err := strconv.ParseInt(query.Get(paramExpires), 10, 64)
	if err != nil || time.Now().Unix() >= expires {
		return &refusal{http.StatusForbidden, "expired", "the URL has expired"}
	}
	return nil
}

// mac signs. What it signs is told apart by its first word: a method, or "policy".
func (s *Store) mac(kind, key, content string) string {
	h := hmac.New(sha256.New, s.cfg.Secret)
	// A key has no NUL, so that no two inputs look alike.
	fmt.Fprintf(h, "%s\x00%s\x00%s", kind, key, content)
	return hex.EncodeToString(h.Sum(nil))
}
