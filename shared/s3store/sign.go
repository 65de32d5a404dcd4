package s3store

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/aws/smithy-go/encoding/httpbinding"

	"trackstore/shared/track"
)

// SignPut signs one PUT. The URL binds the key, the exact length, the content type, the
// checksum where one is declared, and that the key is new; S3 refuses anything else. It
// works until spec.TTL is over or the credentials that signed it are, whichever is first.
func (s *Store) SignPut(ctx context.Context, spec track.PutSpec) (track.SignedPut, error) {
	headers := map[string]string{
		"Content-Type":  spec.ContentType,
		"If-None-Match": "*",
	}
	if spec.Checksum != nil {
		headers[spec.Checksum.Algorithm.Header()] = spec.Checksum.Value
	}
	u, err := s.sign(ctx, http.MethodPut, spec.Key, url.Values{}, headers, spec.Size, spec.TTL)
	if err != nil {
		return track.SignedPut{}, err
	}
	return track.SignedPut{URL: u, Headers: headers}, nil
}

// SignGet signs GETs, with any Range, of one object. A HEAD needs a URL of its own.
func (s *Store) SignGet(ctx context.Context, spec track.GetSpec) (string, error) {
	query := url.Values{}
	for name, value := range map[string]string{
		"versionId":                    spec.VersionID,
		"response-content-type":        spec.ContentType,
		"response-content-disposition": spec.Disposition,
	} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return s.sign(ctx, http.MethodGet, spec.Key, query, nil, 0, spec.TTL)
}

// SignPart signs the PUT of one part, of any length and with no headers of its own.
func (s *Store) SignPart(ctx context.Context, key, multipartID string, number int32, ttl time.Duration) (string, error) {
	query := url.Values{
		"partNumber": {strconv.Itoa(int(number))},
		"uploadId":   {multipartID},
	}
	return s.sign(ctx, http.MethodPut, key, query, nil, 0, ttl)
}

// sign is all that a presigned URL takes: the SDK's presign client runs its whole
// middleware for each URL, at five times the cost.
func (s *Store) sign(
	ctx context.Context, method, key string, query url.Values, headers map[string]string, length int64, ttl time.Duration,
) (string, error) {
	credentials, err := s.credentials.Retrieve(ctx)
	if err != nil {
		return "", failure(ctx, "sign a URL of", key, err)
	}
	query.Set("X-Amz-Expires", strconv.FormatInt(seconds(ttl), 10))
	u := *s.public
	u.Path += "/" + key
	u.RawPath = httpbinding.EscapePath(u.Path, false)
	u.RawQuery = query.Encode()
	r := &http.Request{Method: method, URL: &u, Host: u.Host, Header: make(http.Header, len(headers)), ContentLength: length}
	for name, value := range headers {
		r.Header.Set(name, value)
	}
	signed, _, err := s.signer.PresignHTTP(ctx, credentials, r, "UNSIGNED-PAYLOAD", "s3", s.region, time.Now())
	if err != nil {
		return "", fmt.Errorf("sign a URL of %q: %w", key, err)
	}
	return signed, nil
}

// seconds rounds up, into what S3 accepts: one second to seven days.
func seconds(ttl time.Duration) int64 {
	return int64(min(max((ttl+time.Second-1)/time.Second, 1), 7*24*3600))
}
