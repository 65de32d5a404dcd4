package s3store

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
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
	// In the order of their names. A browser sends the first two by itself, and lets no page set them.
	signed := []header{
		{"content-length", strconv.FormatInt(spec.Size, 10)},
		{"host", s.public.Host},
	}
	for name, value := range headers {
		signed = append(signed, header{strings.ToLower(name), value})
	}
	u, err := s.sign(ctx, http.MethodPut, spec.Key, url.Values{}, signed, spec.TTL)
	return track.SignedPut{URL: u, Headers: headers}, err
}

// SignGet signs GETs, with any Range, or HEADs of one object.
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
	method := http.MethodGet
	if spec.Head {
		method = http.MethodHead
	}
	return s.sign(ctx, method, spec.Key, query, []header{{"host", s.public.Host}}, spec.TTL)
}

// SignPart signs the PUT of one part, of any length and with no headers of its own.
func (s *Store) SignPart(ctx context.Context, key, multipartID string, number int32, ttl time.Duration) (string, error) {
	query := url.Values{
		"partNumber": {strconv.Itoa(int(number))},
		"uploadId":   {multipartID},
	}
	return s.sign(ctx, http.MethodPut, key, query, []header{{"host", s.public.Host}}, ttl)
}

type header struct{ name, value string } // the name in lower case

// sign returns the URL of a request that is not made yet: what its sender cannot choose
// stands in the query or among the headers, and the signature covers both.
func (s *Store) sign(
	ctx context.Context, method, key string, query url.Values, headers []header, ttl time.Duration,
) (string, error) {
	now, err := s.signer.begin(ctx)
	if err != nil {
		return "", failure(ctx, "sign a URL of", key, err)
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.name, b.name) })
	var names []string
	var lines strings.Builder
	for _, h := range headers {
		names = append(names, h.name)
		lines.WriteString(h.name + ":" + strings.TrimSpace(h.value) + "\n")
	}
	signedHeaders := strings.Join(names, ";")

	query.Set("X-Amz-Algorithm", algorithm)
	query.Set("X-Amz-Credential", now.credential)
	query.Set("X-Amz-Date", now.date)
	query.Set("X-Amz-Expires", strconv.FormatInt(seconds(ttl), 10))
	query.Set("X-Amz-SignedHeaders", signedHeaders)
	if now.token != "" {
		query.Set("X-Amz-Security-Token", now.token)
	}
	path := httpbinding.EscapePath(s.public.Path+"/"+key, false)
	encoded := strings.ReplaceAll(query.Encode(), "+", "%20")
	signature := now.request(method + "\n" + path + "\n" + encoded + "\n" + lines.String() + "\n" + signedHeaders + "\nUNSIGNED-PAYLOAD")
	return s.public.Scheme + "://" + s.public.Host + path + "?" + encoded + "&X-Amz-Signature=" + signature, nil
}

// seconds rounds up, into what S3 accepts: one second to seven days.
func seconds(ttl time.Duration) int64 {
	return int64(min(max((ttl+time.Second-1)/time.Second, 1), 7*24*3600))
}
