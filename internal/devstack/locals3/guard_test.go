package locals3

import (
	"crypto/md5"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"trackstore/shared/s3event"
)

func TestGuardHandsOnWhatItGot(t *testing.T) {
	t.Parallel()
	var got *http.Request
	var gotBody string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got, gotBody = r, string(b)
	}))
	t.Cleanup(upstream.Close)
	front := httptest.NewServer(newGuard(strings.TrimPrefix(upstream.URL, "http://"), t.TempDir(), credentials{}, func(s3event.Created) {}, t.Output()))
	t.Cleanup(front.Close)

	for _, size := range []int{0, 1, memoryLimit, memoryLimit + 1, 3 * memoryLimit} {
		body := strings.Repeat("x", size)
		const uri = "/bucket/a%2Fb+c%20d?x-id=Put%20Object&empty&semi;colon=%zz"
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, front.URL, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		path, query, _ := strings.Cut(uri, "?")
		req.URL.Opaque, req.URL.RawQuery = path, query
		req.Host = "storage.example:9000"
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()

		if got.RequestURI != uri || got.Host != req.Host {
			t.Errorf("%d bytes: handed on %s of host %s", size, got.RequestURI, got.Host)
		}
		if gotBody != body || got.ContentLength != int64(size) {
			t.Errorf("%d bytes: handed on %d, declared %d", size, len(gotBody), got.ContentLength)
		}
		digest := md5.Sum([]byte(body))
		if want := base64.StdEncoding.EncodeToString(digest[:]); size > 0 && got.Header.Get("Content-Md5") != want {
			t.Errorf("%d bytes: digest %q, want %q", size, got.Header.Get("Content-Md5"), want)
		}
	}
}
