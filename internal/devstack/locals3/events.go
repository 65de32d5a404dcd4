package locals3

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"trackstore/shared/s3event"
)

// created tells whether an answer is to a request that created an object, and which.
//
// versitygw has a webhook of its own, which is not used: it writes an event after the request's memory may serve the
// next one, so that of two uploads at once one event bears a piece of the other's key, and that of a form bears none.
func created(answer *http.Response) (s3event.Created, bool) {
	if answer.StatusCode/100 != 2 {
		return s3event.Created{}, false
	}
	r := answer.Request
	query := r.URL.Query()
	c := s3event.Created{
		ETag:      strings.Trim(answer.Header.Get("ETag"), `"`),
		VersionID: answer.Header.Get("X-Amz-Version-Id"),
	}
	target, err := url.PathUnescape(r.URL.Opaque)
	if err != nil {
		return c, false
	}
	switch {
	case r.Method == http.MethodPut && plain(query):
		c.How, c.Size = "Put", r.ContentLength
		if decoded, err := strconv.ParseInt(r.Header.Get("X-Amz-Decoded-Content-Length"), 10, 64); err == nil {
			c.Size = decoded
		}
		if r.Header.Get("X-Amz-Copy-Source") != "" {
			c.How, c.Size = "Copy", 0 // which only the server knows
		}
	case r.Method == http.MethodPost && query.Has("uploadId"):
		c.How = "CompleteMultipartUpload"
	case r.Method == http.MethodPost && strings.HasPrefix(r.Header.Get("Content-Type"), "multipart/form-data"):
		c.How = "Post"
		location, err := url.Parse(answer.Header.Get("Location")) // the key is a field of the form
		if err != nil {
			return c, false
		}
		target = location.Path
	default:
		return c, false
	}
	c.Bucket, c.Key, _ = strings.Cut(strings.TrimPrefix(target, "/"), "/")
	return c, c.Key != ""
}

// plain reports whether a PUT's query names the object itself: nothing but a signature, and the SDKs' name of the call.
func plain(query url.Values) bool {
	for name := range query {
		if name != "x-id" && !strings.HasPrefix(strings.ToLower(name), "x-amz-") {
			return false
		}
	}
	return true
}
