package s3store

import (
	"cmp"
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
	if err := s.prove(ctx); err != nil {
		return track.SignedPut{}, failure(ctx, "sign a URL of", spec.Key, err)
	}
	headers := map[string]string{
		"Content-Type":  spec.ContentType,
		"If-None-Match": "*",
	}
	if spec.Checksum != nil {
		headers[spec.Checksum.Algorithm.Header()] = spec.Checksum.Value
	}
	// A browser sends the length, as the host, by itself, and lets no page set it.
	signed := append(headersOf(headers), header{"content-length", strconv.FormatInt(spec.Size, 10)})
	put, err := s.sign(ctx, request{http.MethodPut, spec.Key, url.Values{}, signed}, spec.TTL)
	return track.SignedPut{URL: put.URL, Headers: headers}, err
}

// SignGet signs GETs, with any Range, or HEADs of one object. What else its sender may have
// stored with the object (Cache-Control, Content-Disposition, Expires) is overridden: a key
// is written once, so that its bytes may be kept for as long as the URL lives. The object may
// lie in another bucket, which spec names.
func (s *Store) SignGet(ctx context.Context, spec track.GetSpec) (track.SignedURL, error) {
	s, err := s.In(spec.Bucket)
	if err != nil {
		return track.SignedURL{}, failure(ctx, "sign a URL of", spec.Key, err)
	}
	query := url.Values{
		"response-content-disposition": {cmp.Or(spec.Disposition, "inline")},
		"response-cache-control":       {"private, max-age=" + strconv.FormatInt(seconds(spec.TTL), 10)},
		"response-expires":             {time.Now().Add(spec.TTL).UTC().Format(http.TimeFormat)},
	}
	if spec.VersionID != "" {
		query.Set("versionId", spec.VersionID)
	}
	if spec.ContentType != "" {
		query.Set("response-content-type", spec.ContentType)
	}
	method := http.MethodGet
	if spec.Head {
		method = http.MethodHead
	}
	return s.sign(ctx, request{method, spec.Key, query, nil}, spec.TTL)
}

// SignPart signs the PUT of one part. The URL binds the part's exact length, where that is
// known, and its checksum, where one is declared: S3 refuses anything else.
func (s *Store) SignPart(ctx context.Context, spec track.PartSpec) (track.SignedPut, error) {
	query := url.Values{
		"partNumber": {strconv.Itoa(int(spec.Number))},
		"uploadId":   {spec.MultipartID},
	}
	headers := map[string]string{}
	if spec.Checksum != nil {
		headers[spec.Checksum.Algorithm.Header()] = spec.Checksum.Value
	}
	signed := headersOf(headers)
	if spec.Size > 0 {
		signed = append(signed, header{"content-length", strconv.FormatInt(spec.Size, 10)})
	}
	get, err := s.sign(ctx, request{http.MethodPut, spec.Key, query, signed}, spec.TTL)
	return track.SignedPut{URL: get.URL, Headers: headers}, err
}

type header struct{ name, value string } // the name in lower case

func headersOf(named map[string]string) []header {
	var all []header
	for name, value := range named {
		all = append(all, header{strings.ToLower(name), value})
	}
	return all
}

// request is one that is not made yet. What its sender cannot choose stands in the query or
// among the headers.
type request struct {
	method  string
	key     string
	query   url.Values
	headers []header // host, which all requests have, is not among them
}

// sign returns the URL of a request, whose signature covers query and headers. It works
// until ttl is over or the keys that sign it are, whichever is first.
func (s *Store) sign(ctx context.Context, r request, ttl time.Duration) (track.SignedURL, error) {
	now, err := s.signer.begin(ctx)
	if err != nil {
		return track.SignedURL{}, failure(ctx, "sign a URL of", r.key, err)
	}
	headers, query := append(r.headers, header{"host", s.public.Host}), r.query
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
	life := seconds(now.life(ttl))
	query.Set("X-Amz-Expires", strconv.FormatInt(life, 10))
	query.Set("X-Amz-SignedHeaders", signedHeaders)
	if now.token != "" {
		query.Set("X-Amz-Security-Token", now.token)
	}
	path := httpbinding.EscapePath(s.public.Path+"/"+r.key, false)
	encoded := strings.ReplaceAll(query.Encode(), "+", "%20")
	signature := now.request(r.method + "\n" + path + "\n" + encoded + "\n" + lines.String() + "\n" + signedHeaders + "\nUNSIGNED-PAYLOAD")
	return track.SignedURL{
		URL:       s.public.Scheme + "://" + s.public.Host + path + "?" + encoded + "&X-Amz-Signature=" + signature,
		ExpiresAt: now.at.Add(time.Duration(life) * time.Second),
	}, nil
}

// seconds rounds up, into what S3 accepts: one second to seven days.
func seconds(ttl time.Duration) int64 {
	return int64(min(max((ttl+time.Second-1)/time.Second, 1), 7*24*3600))
}
