package s3store

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"trackstore/shared/track"
)

// direct makes the calls that a migration makes for every track, PUT, HEAD and, to verify, GET, by
// itself: the SDK spends more time on such a call than the network on a small file.
//
// Only an answer that settles the call counts. After any other, and after none, the caller
// makes the call once more through the SDK, which knows about retries, clocks that are
// wrong, and all the rest. Each call may be made twice.
type direct struct {
	client aws.HTTPClient
	bucket *url.URL
	signer *signer
	prove  func(ctx context.Context) error
}

// payload is what a request sends: the first size bytes of body; none where size is 0.
type payload struct {
	body io.ReaderAt
	size int64
}

// send makes one request. The body is closed by the caller; it is nil after an error.
func (d *direct) send(ctx context.Context, method, key string, headers []header, sent payload) (*http.Response, error) {
	if err := d.prove(ctx); err != nil {
		return nil, err
	}
	now, err := d.signer.begin(ctx)
	if err != nil {
		return nil, err
	}
	headers = append(headers,
		header{"host", d.bucket.Host},
		header{"x-amz-content-sha256", "UNSIGNED-PAYLOAD"}, // bodies come with a checksum
		header{"x-amz-date", now.date})
	if now.token != "" {
		headers = append(headers, header{"x-amz-security-token", now.token})
	}
	slices.SortFunc(headers, func(a, b header) int { return strings.Compare(a.name, b.name) })

	path := d.bucket.Path + "/" + key
	escaped := httpbinding.EscapePath(path, false)
	req := &http.Request{
		Method: method,
		URL:    &url.URL{Scheme: d.bucket.Scheme, Host: d.bucket.Host, Path: path, RawPath: escaped},
		Host:   d.bucket.Host,
		Header: make(http.Header, len(headers)+2),
	}
	req.Header.Set("Accept-Encoding", "identity") // the bytes as they are stored
	if sent.size > 0 {
		req.ContentLength = sent.size
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(io.NewSectionReader(sent.body, 0, sent.size)), nil }
		req.Body, _ = req.GetBody()
	}
	var names, lines strings.Builder
	for i, h := range headers {
		if i > 0 {
			names.WriteByte(';')
		}
		names.WriteString(h.name)
		lines.WriteString(h.name + ":" + h.value + "\n")
		if h.name != "host" {
			req.Header.Set(h.name, h.value)
		}
	}
	signature := now.request(method + "\n" + escaped + "\n\n" + lines.String() + "\n" + names.String() + "\nUNSIGNED-PAYLOAD")
	req.Header.Set("Authorization", algorithm+" Credential="+now.credential+", SignedHeaders="+names.String()+", Signature="+signature)
	return d.client.Do(req.WithContext(ctx))
}

// create is one try at Create; ok tells whether it settled the matter. Of the object it says what S3 answered.
func (d *direct) create(ctx context.Context, spec track.ObjectSpec, body io.ReaderAt) (created track.Object, ok bool, err error) {
	checksum := track.NewCRC64NVME(spec.Digest.CRC64NVME)
	headers := []header{
		{"content-length", strconv.FormatInt(spec.Digest.Size, 10)},
		{"if-none-match", "*"},
		{checksum.Algorithm.Header(), checksum.Value},
	}
	if spec.ContentType != "" {
		headers = append(headers, header{"content-type", spec.ContentType})
	}
	response, err := d.send(ctx, http.MethodPut, spec.Key, headers, payload{body, spec.Digest.Size})
	if err != nil {
		return created, false, nil
	}
	defer drain(response)
	switch {
	case response.StatusCode == http.StatusOK && response.Header.Get("ETag") != "":
		created = answered(spec, response.Header.Get("x-amz-version-id"), response.Header.Get(checksum.Algorithm.Header()))
		// AWS and others say how many bytes they have; a server that does not was told how many there are.
		if size, err := strconv.ParseInt(response.Header.Get("x-amz-object-size"), 10, 64); err == nil {
			created.Size = size
		}
		return created, true, nil
	case response.StatusCode == http.StatusPreconditionFailed:
		return created, true, fmt.Errorf("create %q: %w", spec.Key, track.ErrExists)
	case response.StatusCode == http.StatusServiceUnavailable, response.StatusCode == http.StatusTooManyRequests:
		// At once: the caller sends less from now on, which the SDK's own attempts would put off.
		return created, true, fmt.Errorf("create %q: %w: %s", spec.Key, track.ErrThrottled, response.Status)
	}
	return created, false, nil
}

// answered describes an object by the answer to its PUT: the checksum is the one that S3 computed over what it received,
// and is left out where it said none.
func answered(spec track.ObjectSpec, versionID, crc64nvme string) track.Object {
	return track.Object{
		Key: spec.Key, VersionID: versionID, Size: spec.Digest.Size, ContentType: spec.ContentType,
		Checksums: checksums(map[track.Algorithm]*string{track.CRC64NVME: &crc64nvme}),
	}
}

// head is one try at Head of the current version; ok tells whether it settled the matter.
func (d *direct) head(ctx context.Context, key string) (object track.Object, ok bool) {
	object, response, ok := d.describe(ctx, http.MethodHead, key)
	if ok {
		drain(response)
	}
	return object, ok
}

// get is the same, with the object's bytes.
func (d *direct) get(ctx context.Context, key string) (object track.Object, bytes io.ReadCloser, ok bool) {
	object, response, ok := d.describe(ctx, http.MethodGet, key)
	if !ok {
		return object, nil, false
	}
	return object, response.Body, true
}

// describe asks for an object. Where the answer does not settle the matter there is none.
func (d *direct) describe(ctx context.Context, method, key string) (object track.Object, response *http.Response, ok bool) {
	response, err := d.send(ctx, method, key, []header{{"x-amz-checksum-mode", "ENABLED"}}, payload{})
	if err != nil {
		return object, nil, false
	}
	if response.StatusCode != http.StatusOK || response.ContentLength < 0 || response.Header.Get("ETag") == "" {
		drain(response)
		return object, nil, false
	}
	object = track.Object{
		Key:         key,
		VersionID:   response.Header.Get("x-amz-version-id"),
		Size:        response.ContentLength,
		ContentType: response.Header.Get("Content-Type"),
		Headers: addedHeaders(map[string]string{
			"Content-Encoding": response.Header.Get("Content-Encoding"),
			"Content-Language": response.Header.Get("Content-Language"),
		}),
	}
	if at, err := time.Parse(http.TimeFormat, response.Header.Get("Last-Modified")); err == nil {
		object.ModTime = at
	}
	values := map[track.Algorithm]*string{}
	for _, algorithm := range []track.Algorithm{track.CRC64NVME, track.CRC32C, track.SHA256} {
		values[algorithm] = aws.String(response.Header.Get(algorithm.Header()))
	}
	if response.Header.Get("x-amz-checksum-type") != string(types.ChecksumTypeComposite) {
		object.Checksums = checksums(values)
	}
	return object, response, true
}

// drain reads what is left of an answer, so that its connection can be used again.
func drain(response *http.Response) {
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	_ = response.Body.Close()
}
