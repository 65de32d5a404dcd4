// Package cdn stands in for a CloudFront distribution before the local stack's bucket: it
// checks signatures as CloudFront does, asks the bucket by the bucket's own name and with a
// signature of its own, forwards ranges, and caches.
package cdn

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"trackstore/shared/cloudfront"
	"trackstore/shared/track"
)

// Origin is the bucket.
type Origin interface {
	Head(ctx context.Context, key, versionID string) (track.Object, error)
	Open(ctx context.Context, key, versionID string, offset, length int64) (io.ReadCloser, error)
}

// Distribution is the stand-in. It is an http.Handler.
type Distribution struct {
	URL    *url.URL // by which clients reach it, and which signatures cover
	KeyID  string   // of the key group's one key
	Key    crypto.PublicKey
	Origin Origin

	mu     sync.Mutex
	cached map[string]*cached // by path and version
	size   int64              // of what is cached, in bytes
}

// cached is what the origin said of an object, and its bytes.
type cached struct {
	object track.Object
	bytes  []byte
}

// What is kept, in bytes: of one object, larger ones are handed through range by range, and of all.
const (
	largestCached = 64 << 20
	mostCached    = 512 << 20
)

// ServeHTTP implements http.Handler.
func (d *Distribution) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Server", "CloudFront")
	w.Header().Set("Access-Control-Allow-Origin", "*")
	w.Header().Set("Access-Control-Expose-Headers", "Content-Length, Content-Range, Accept-Ranges, ETag")
	switch r.Method {
	case http.MethodGet, http.MethodHead:
	case http.MethodOptions:
		w.Header().Set("Access-Control-Allow-Methods", "GET, HEAD")
		w.Header().Set("Access-Control-Allow-Headers", "range")
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		refuse(w, "InvalidRequest", http.StatusForbidden, "This distribution is not configured to allow the HTTP request method that was used for this request.")
		return
	}
	if code, text := d.check(r); code != "" {
		refuse(w, code, http.StatusForbidden, text)
		return
	}
	if err := d.serve(w, r); err != nil {
		status := http.StatusBadGateway
		if errors.Is(err, track.ErrNotFound) { // which the bucket calls forbidden of who may not list it
			status = http.StatusForbidden
		}
		refuse(w, "AccessDenied", status, "Access Denied")
	}
}

func refuse(w http.ResponseWriter, code string, status int, text string) {
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("X-Cache", "Error from cloudfront")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?><Error><Code>%s</Code><Message>%s</Message></Error>`, code, text)
}

// signed are the parameters that CloudFront takes off.
var signed = []string{cloudfront.ExpiresParam, cloudfront.SignatureParam, cloudfront.KeyParam, cloudfront.HashParam}

// check verifies a URL with a canned policy. The code is empty where it is good.
func (d *Distribution) check(r *http.Request) (code, text string) {
	query := r.URL.Query()
	if !query.Has(cloudfront.KeyParam) || !query.Has(cloudfront.SignatureParam) {
		return "MissingKey", "Missing Key-Pair-Id query parameter or cookie value"
	}
	expires, err := strconv.ParseInt(query.Get(cloudfront.ExpiresParam), 10, 64)
	signature, malformed := base64.StdEncoding.DecodeString(strings.NewReplacer("-", "+", "_", "=", "~", "/").Replace(query.Get(cloudfront.SignatureParam)))
	switch {
	case query.Get(cloudfront.KeyParam) != d.KeyID:
		return "InvalidKey", "Unknown Key"
	case err != nil || malformed != nil:
		return "MalformedSignature", "Could not decode signature"
	}
	policy := cloudfront.CannedPolicy(d.resource(r.URL), expires)
	if !d.verifies(policy, signature, query.Get(cloudfront.HashParam)) || time.Now().Unix() >= expires {
		return "AccessDenied", "Access denied"
	}
	return "", ""
}

// resource is the URL that was signed: that of the request, without what the signature added.
func (d *Distribution) resource(u *url.URL) string {
	var kept []string
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		if pair != "" && !slices.Contains(signed, name) {
			kept = append(kept, pair)
		}
	}
	resource := d.URL.Scheme + "://" + d.URL.Host + u.EscapedPath()
	if len(kept) > 0 {
		resource += "?" + strings.Join(kept, "&")
	}
	return resource
}

func (d *Distribution) verifies(policy string, signature []byte, algorithm string) bool {
	var hash crypto.Hash
	var sum []byte
	switch algorithm {
	case "SHA256":
		s := sha256.Sum256([]byte(policy))
		hash, sum = crypto.SHA256, s[:]
	case "", "SHA1":
		s := sha1.Sum([]byte(policy))
		hash, sum = crypto.SHA1, s[:]
	default:
		return false
	}
	switch key := d.Key.(type) {
	case *rsa.PublicKey:
		return rsa.VerifyPKCS1v15(key, hash, sum, signature) == nil
	case *ecdsa.PublicKey:
		return ecdsa.VerifyASN1(key, sum, signature)
	}
	return false
}

// serve answers from the cache, or from the origin. The cache's key is path and version; no
// other part of the query counts, nor goes on.
func (d *Distribution) serve(w http.ResponseWriter, r *http.Request) error {
	key, version := strings.TrimPrefix(r.URL.Path, "/"), r.URL.Query().Get(cloudfront.VersionParam)
	name := key + "\x00" + version
	d.mu.Lock()
	c, hit := d.cached[name]
	d.mu.Unlock()
	if !hit {
		var err error
		if c, err = d.fetch(r.Context(), key, version); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("X-Cache", map[bool]string{true: "Hit from cloudfront", false: "Miss from cloudfront"}[hit])
	h.Set("Content-Type", c.object.ContentType)
	h.Set("ETag", fmt.Sprintf(`"%x-%x"`, c.object.ModTime.UnixNano(), c.object.Size))
	h.Set("Cache-Control", "private, max-age=3600") // as its response headers policy says
	h.Set("X-Content-Type-Options", "nosniff")
	var content io.ReadSeeker = bytes.NewReader(c.bytes)
	if c.bytes == nil {
		from := &remote{ctx: r.Context(), origin: d.Origin, object: c.object}
		defer func() { _ = from.Close() }() // it was read from
		content = from
	}
	http.ServeContent(w, r, "", c.object.ModTime, content)
	return nil
}

// fetch asks the origin for an object, and keeps it unless it is too large.
func (d *Distribution) fetch(ctx context.Context, key, version string) (*cached, error) {
	object, err := d.Origin.Head(ctx, key, version)
	if err != nil {
		return nil, err
	}
	c := &cached{object: object}
	if object.Size > largestCached {
		return c, nil
	}
	body, err := d.Origin.Open(ctx, key, object.VersionID, 0, -1)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if c.bytes, err = io.ReadAll(body); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cached == nil || d.size+object.Size > mostCached {
		d.cached, d.size = make(map[string]*cached), 0
	}
	d.cached[key+"\x00"+version] = c
	d.size += object.Size
	return c, nil
}

// remote reads an object from where a range begins.
type remote struct {
	ctx    context.Context
	origin Origin
	object track.Object
	at     int64
	body   io.ReadCloser
}

func (r *remote) Seek(offset int64, whence int) (int64, error) {
	base := map[int]int64{io.SeekStart: 0, io.SeekCurrent: r.at, io.SeekEnd: r.object.Size}[whence]
	if r.body != nil {
		_ = r.body.Close()
		r.body = nil
	}
	r.at = base + offset
	return r.at, nil
}

func (r *remote) Read(p []byte) (int, error) {
	if r.body == nil {
		if r.at >= r.object.Size {
			return 0, io.EOF
		}
		body, err := r.origin.Open(r.ctx, r.object.Key, r.object.VersionID, r.at, -1)
		if err != nil {
			return 0, err
		}
		r.body = body
	}
	n, err := r.body.Read(p)
	r.at += int64(n)
	return n, err
}

// Close ends what is being read.
func (r *remote) Close() error {
	if r.body != nil {
		return r.body.Close()
	}
	return nil
}
