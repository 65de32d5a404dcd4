package upload_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"trackstore/shared/track"
	"trackstore/shared/upload"
)

// fuzzed serves a request that no client would send, and fails the test where the answer is
// a fault of the server or, by the stage's checker, not as described.
func (s *stage) fuzzed(t *testing.T, method string, u *url.URL, body string, header http.Header) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", strings.NewReader(body))
	r.Method, r.URL, r.Header = method, u, header
	w := httptest.NewRecorder()
	described(t, s.api).ServeHTTP(w, r)
	if w.Code >= 500 {
		t.Errorf("%s %q %q: %d %s", method, u, body, w.Code, w.Body)
	}
	return w
}

var keyForm = regexp.MustCompile(`^uploads/[0-9a-f-]{36}/[0-9a-f-]{36}\.(mp3|flac|wave?|og[ga]|opus|m4a|mp4|aac|aiff?|aifc)$`)

func FuzzOpen(f *testing.F) {
	s := start(f, maxPending(1<<30))
	for _, body := range []string{
		`{"title":"a","filename":"a.wav","content_type":"audio/wav","size":1}`,
		`{"title":"a","filename":"a.opus","content_type":"audio/ogg; codecs=opus","size":9,"checksum":{"algorithm":"CRC32C","value":"AAAAAA=="},"method":"post"}`,
		`{"track_id":"00000000-0000-0000-0000-000000000000","filename":"a.mp3","content_type":"audio/mp3","size":1e3,"method":"multipart"}`,
		`{"title":"\ud800","filename":"\u0000.wav","content_type":"","size":-0}`, `[[[[[[`, `{"a":{"a":{"a":`, "\xef\xbb\xbf{}", `{"size":01}`, "",
	} {
		f.Add(body, "key", "application/json")
		f.Add(body, "", "application/json; charset=\"utf-8\"")
	}
	f.Fuzz(func(t *testing.T, body, key, contentType string) {
		header := http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {contentType}}
		if key != "" {
			header["Idempotency-Key"] = []string{key}
		}
		w := s.fuzzed(t, "POST", &url.URL{Path: "/v1/uploads"}, body, header)
		if w.Code != http.StatusCreated {
			return
		}
		var o answer
		if err := json.Unmarshal(w.Body.Bytes(), &o); err != nil {
			t.Fatal(err)
		}
		if got := s.in(t).sql("SELECT storage_key FROM track_uploads WHERE id = $1", o.str("upload_id")); !keyForm.MatchString(got) {
			t.Errorf("%q got the key %q", body, got)
		}
	})
}

func FuzzFilename(f *testing.F) {
	s := start(f, maxPending(1<<30))
	for _, name := range []string{"a.wav", "../../etc/passwd", "..", ".mp3", "a.mp3/", "a.mp3\x00.exe", "a.WAV ", "猫.flac", "a\u202e3pm.exe", "\xff.ogg", strings.Repeat("é", 252) + ".mp3", "%2e%2e%2fa.mp3"} {
		f.Add(name, "audio/wav")
		f.Add(name, "")
	}
	uppy := s.companion()
	session := strings.TrimPrefix(uppy.url, s.url)
	f.Fuzz(func(t *testing.T, name, contentType string) {
		u := &url.URL{Path: session + "/s3/params", RawQuery: url.Values{"filename": {name}, "type": {contentType}}.Encode()}
		w := s.fuzzed(t, "GET", u, "", http.Header{})
		if w.Code != http.StatusOK {
			return
		}
		var form answer
		if err := json.Unmarshal(w.Body.Bytes(), &form); err != nil {
			t.Fatal(err)
		}
		if key := form.obj("fields").str("key"); !keyForm.MatchString(key) {
			t.Errorf("%q got the key %q", name, key)
		}
		path := session + "/s3/multipart"
		body, _ := json.Marshal(answer{"filename": name, "type": contentType})
		s.fuzzed(t, "POST", &url.URL{Path: path}, string(body), http.Header{"Content-Type": {"application/json"}})
	})
}

func FuzzCompanion(f *testing.F) {
	s := start(f)
	uppy := s.companion()
	token := strings.TrimPrefix(uppy.url, s.url+"/u/")
	made := uppy.call("POST", "/s3/multipart", answer{"filename": "a.wav"}).want(200)
	for _, path := range []string{
		token + "/s3/params", token + "/s3/multipart", token + "/s3/multipart/" + made.str("uploadId"), token + "/s3/multipart/" + made.str("uploadId") + "/1",
		token + "/s3/multipart/" + made.str("uploadId") + "/batch", token + "/s3/multipart/" + made.str("uploadId") + "/complete",
		token + "/s3/../../v1/uploads", "%00/s3/params", token[:20] + "/" + token[20:] + "/s3/params", strings.Repeat("A", 43) + "/s3/params",
	} {
		for _, method := range []string{"GET", "POST", "DELETE", "PUT", "HEAD", "OPTIONS", ""} {
			f.Add(method, path, "key="+url.QueryEscape(made.str("key"))+"&partNumbers=1,2&filename=a.wav", `{"parts":[{"PartNumber":1,"ETag":"x"}],"filename":"a.wav"}`)
		}
	}
	f.Fuzz(func(t *testing.T, method, path, query, body string) {
		s.fuzzed(t, method, &url.URL{Path: "/u/" + path, RawQuery: query}, body, http.Header{"Content-Type": {"application/json"}, "Origin": {query}})
	})
}

// FuzzParts sends lists of parts for an upload that waits for them. None names what came.
func FuzzParts(f *testing.F) {
	s := start(f)
	path := "/v1/uploads/" + s.open(40<<20, "method", "multipart").str("upload_id")
	for _, body := range []string{
		`{"part_numbers":[1,2,3]}`, `{"part_numbers":[1,1]}`, `{"part_numbers":[0]}`, `{"part_numbers":[4]}`, `{"part_numbers":[1.0]}`, `{"part_numbers":[1e0]}`, `{"part_numbers":[]}`, `{"part_numbers":1}`,
		`{"part_numbers":[99999999999999999999]}`, `{"part_numbers":[null]}`, `{"part_numbers":[1],"part_numbers":[2]}`, `{"parts":[{"part_number":1,"etag":"\"x\""}]}`, `{"parts":[{"part_number":1}]}`,
		`{"parts":[{"part_number":1,"etag":"x","size":-1},{"part_number":1,"etag":"x"}]}`, `{"parts":[{"part_number":2147483648,"etag":"x"}]}`, `{"parts":[[]]}`, `{"parts":null}`, `{}`, `null`, `[`, "",
	} {
		f.Add("/parts", body)
		f.Add("/complete", body)
	}
	f.Fuzz(func(t *testing.T, call, body string) {
		if call != "/parts" && call != "/complete" {
			return
		}
		header := http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}}
		w := s.fuzzed(t, "POST", &url.URL{Path: path + call}, body, header)
		if w.Code < 300 && call == "/complete" {
			t.Errorf("%s: %d %s", body, w.Code, w.Body)
		}
	})
}

// FuzzIDs asks by ids that are none, as one who may call.
func FuzzIDs(f *testing.F) {
	s := start(f)
	for _, id := range []string{"x", "", "..", "%00", "\x00", "/", "?", "#", track.NewID().String(), strings.ToUpper(track.NewID().String()), "{upload_id}", "猫", "\xff"} {
		f.Add(id, `{"part_numbers":[1]}`)
		f.Add(id, `{"parts":[{"part_number":1,"etag":"\"x\""}]}`)
	}
	f.Fuzz(func(t *testing.T, id, body string) {
		for _, route := range upload.Routes() {
			if route.Access != upload.Bearer || !strings.Contains(route.Path, "{") {
				continue
			}
			u := &url.URL{Path: strings.NewReplacer("{upload_id}", id, "{track_id}", id).Replace(route.Path)}
			header := http.Header{"Authorization": {"Bearer " + s.token}, "Content-Type": {"application/json"}}
			if w := s.fuzzed(t, route.Method, u, body, header); w.Code < 300 {
				t.Errorf("%s %s: %d %s", route.Method, u, w.Code, w.Body)
			}
		}
	})
}
