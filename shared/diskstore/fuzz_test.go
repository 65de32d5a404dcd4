package diskstore_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/shared/diskstore"
	"trackstore/shared/track"
)

// Whatever a row's file_path says, nothing outside the root is read.
func FuzzOpenFile(f *testing.F) {
	base := f.TempDir()
	root := filepath.Join(base, "root")
	for _, name := range []string{"root/in/a", "out/a"} {
		file := filepath.Join(base, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			f.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(name), 0o600); err != nil {
			f.Fatal(err)
		}
	}
	for name, target := range map[string]string{"to-out": "../out", "to-out-abs": filepath.Join(base, "out"), "to-in": "in", "to-root": root} {
		if err := os.Symlink(target, filepath.Join(root, name)); err != nil {
			f.Fatal(err)
		}
	}
	store := open(f, diskstore.Config{Root: root})
	for _, path := range []string{
		"in/a", "../out/a", "to-out/a", "to-out-abs/a", "to-in/../in/a", "to-root/to-root/in/a", root + "/in/a", base + "/out/a", "in/../../out/a",
		"", ".", "//", "to-out/../out/a", "in/a/", "\x00", "in\x00/a", "./to-root/../../out/a",
	} {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		file, err := store.OpenFile(path)
		if err != nil {
			return
		}
		if content, err := read(file); content != "root/in/a" || err != nil {
			t.Errorf("%q leads to %q, %v", path, content, err)
		}
	})
}

// Whatever comes in without a signature is refused, and is nobody's failure.
func FuzzRequest(f *testing.F) {
	store := open(f, diskstore.Config{})
	signed, err := store.SignPut(f.Context(), track.PutSpec{Key: "a b", Size: 1, ContentType: "audio/flac", TTL: time.Hour})
	u := parse(f, signed.URL, err)
	f.Add("PUT", u.Path, u.RawQuery, "audio/flac", "x")
	f.Add("GET", "/disk/../x", "signature=&expires=1", "", "")
	f.Add("POST", "/disk/", "", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{}\r\n--x--\r\n")
	f.Add("PUT", "/disk/k", "part=1&upload=x&part=2", "", "")
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		w := fuzzed(store, method, &url.URL{Path: path, RawQuery: query}, body, http.Header{"Content-Type": {contentType}})
		if w.Code < 400 || w.Code > 499 {
			t.Errorf("%s %q?%q: answered %d: %s", method, path, query, w.Code, w.Body)
		}
	})
}

// fuzzed serves a request as it came over the wire, or not at all.
func fuzzed(store *diskstore.Store, method string, u *url.URL, body string, header http.Header) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
	r.Method, r.URL, r.Header = method, u, header
	w := httptest.NewRecorder()
	store.Handler().ServeHTTP(w, r)
	return w
}

func parse(f *testing.F, signed string, err error) *url.URL {
	f.Helper()
	if err != nil {
		f.Fatal(err)
	}
	u, err := url.Parse(signed)
	if err != nil {
		f.Fatal(err)
	}
	return u
}

// A signature is good for what was signed, and for nothing that looks like it.
func FuzzSignature(f *testing.F) {
	store := open(f, diskstore.Config{})
	put, err := store.SignPut(f.Context(), track.PutSpec{
		Key: "a/b c", Size: 4, ContentType: "audio/flac", TTL: time.Hour, Checksum: &track.Checksum{Algorithm: track.CRC32C, Value: "AAAAAA=="},
	})
	signed := []*url.URL{parse(f, put.URL, err)}
	part, err := store.SignPart(f.Context(), track.PartSpec{Key: "a/b c", MultipartID: "0123456789abcdef0123456789abcdef", Number: 7, Size: 4, TTL: time.Hour})
	signed = append(signed, parse(f, part.URL, err))
	get, err := store.SignGet(f.Context(), track.GetSpec{Key: "a/b c", ContentType: "audio/flac", Disposition: "attachment", TTL: time.Hour})
	signed = append(signed, parse(f, get.URL, err))
	methods := []string{"PUT", "PUT", "GET"}
	for i, u := range signed {
		for _, query := range []string{u.RawQuery, u.RawQuery + "&size=5", "size=5&" + u.RawQuery, u.RawQuery + "&part=1", strings.Replace(u.RawQuery, "%2F", "/", 1), strings.ToUpper(u.RawQuery)} {
			f.Add(methods[i], u.Path, query)
			f.Add("DELETE", u.Path, query)
			f.Add(methods[(i+1)%3], u.Path+"/../c", query)
		}
	}
	f.Fuzz(func(t *testing.T, method, path, query string) {
		u := &url.URL{Path: path, RawQuery: query}
		for i, s := range signed {
			same := u.Path == s.Path && u.Query().Encode() == s.Query().Encode()
			if same && (method == methods[i] || method == "HEAD" && methods[i] == "GET") {
				return // it is what was signed
			}
		}
		if w := fuzzed(store, method, u, "", http.Header{}); w.Code < 400 || w.Code > 499 {
			t.Errorf("%s %q?%q: answered %d: %s", method, path, query, w.Code, w.Body)
		}
	})
}

func FuzzRange(f *testing.F) {
	root := f.TempDir()
	content := "0123456789abcdefghijklmnopqrstuvwxyz"
	if err := os.WriteFile(filepath.Join(root, "a"), []byte(content), 0o600); err != nil {
		f.Fatal(err)
	}
	store := open(f, diskstore.Config{Root: root})
	signed, err := store.SignGet(f.Context(), track.GetSpec{Key: "a", TTL: time.Hour})
	u := parse(f, signed.URL, err)
	etag := fuzzed(store, "GET", u, "", http.Header{}).Header().Get("ETag")
	for _, header := range []string{
		"", "bytes=0-", "bytes=0-0", "bytes=-1", "bytes=-0", "bytes=36-", "bytes=35-99", "bytes=5-4", "bytes=", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "bytes=0-,0-,0-,0-",
		"bytes=9223372036854775807-", "bytes=0-9223372036854775808", "bytes=-9223372036854775809", "bytes=1-2, ,3-4", "Bytes=0-1", "items=0-1", "bytes = 0-1", "bytes=+1-2",
	} {
		f.Add("GET", header, "")
		f.Add("HEAD", header, etag)
		f.Add("GET", header, "Mon, 02 Jan 2006 15:04:05 GMT")
	}
	f.Fuzz(func(t *testing.T, method, header, condition string) {
		if method != "GET" && method != "HEAD" {
			return
		}
		w := fuzzed(store, method, u, "", http.Header{"Range": {header}, "If-Range": {condition}})
		want := ""
		var first, last, size int
		switch _, err := fmt.Sscanf(w.Header().Get("Content-Range"), "bytes %d-%d/%d", &first, &last, &size); {
		case w.Code == http.StatusOK:
			want = content
		case w.Code == http.StatusRequestedRangeNotSatisfiable, strings.HasPrefix(w.Header().Get("Content-Type"), "multipart/byteranges"):
			return
		case w.Code != http.StatusPartialContent || err != nil || size != len(content):
			t.Fatalf("%q: answered %d, %v", header, w.Code, w.Header())
		default:
			want = content[first : last+1]
		}
		if w.Header().Get("Content-Length") != strconv.Itoa(len(want)) || method == "GET" && w.Body.String() != want {
			t.Errorf("%q: answered %v %q, not %q", header, w.Header(), w.Body, want)
		}
	})
}

// Whatever stands around and in the file of a form, a file is stored only where all else
// is as signed.
func FuzzForm(f *testing.F) {
	root := f.TempDir()
	store := open(f, diskstore.Config{Root: root})
	for _, between := range []string{
		"", "--x\r\nContent-Disposition: form-data; name=\"key\"\r\n\r\nother\r\n", "--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n\r\n",
		"--x\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{}\r\n", "--x\r\n\r\n\r\n", "--x\r\nContent-Disposition: form-data; name=\"../a\"; filename=\"/etc/passwd\"\r\n\r\n\r\n",
		"--x--\r\n", "--x", "\r\n", strings.Repeat("--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n\r\n", 40),
	} {
		f.Add(between, "fLaC", "\r\n--x--\r\n", "multipart/form-data; boundary=x")
		f.Add(between, "fLaC", "", "multipart/form-data; boundary=x")
		f.Add(between, "fLaC too long", "\r\n--x--\r\n", "multipart/form-data; boundary=\"x\"")
	}
	f.Fuzz(func(t *testing.T, between, content, tail, contentType string) {
		key := "uploads/" + track.NewID().String() + ".flac"
		signed, err := store.SignPost(t.Context(), track.PutSpec{Key: key, Size: 4, ContentType: "audio/flac", TTL: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		var body strings.Builder
		for name, value := range signed.Fields {
			fmt.Fprintf(&body, "--x\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", name, value)
		}
		fmt.Fprintf(&body, "%s--x\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\n%s%s", between, content, tail)
		u, err := url.Parse(signed.URL)
		if err != nil {
			t.Fatal(err)
		}
		w := fuzzed(store, "POST", u, body.String(), http.Header{"Content-Type": {contentType}})
		if w.Code != http.StatusCreated && (w.Code < 400 || w.Code > 499) {
			t.Errorf("answered %d: %s", w.Code, w.Body)
		}
		info, err := os.Stat(filepath.Join(root, key))
		if stored := err == nil; stored != (w.Code == http.StatusCreated) || stored && info.Size() != 4 {
			t.Errorf("answered %d, and stored %v", w.Code, info)
		}
	})
}

// Whatever a key says, nothing outside the root is written or removed.
func FuzzKey(f *testing.F) {
	base := f.TempDir()
	root, outside := filepath.Join(base, "root"), filepath.Join(base, "a")
	if err := errors.Join(os.MkdirAll(filepath.Join(root, "tracks"), 0o755), os.WriteFile(outside, []byte("x"), 0o600), os.Symlink("..", filepath.Join(root, "up"))); err != nil {
		f.Fatal(err)
	}
	store := open(f, diskstore.Config{Root: root})
	for _, key := range []string{
		"a", "tracks/a.flac", "../a", "/a", "up/a", "up/b", "tracks/../../a", "tracks/", "tracks", ".", "..", "", "a/b", "a//b", ".trackstore/a", ".Trackstore/x", "a\x00b", "a\\b",
		strings.Repeat("a", 256), strings.Repeat("a/", 600) + "a", "tracks/\xff", outside, root + "/a",
	} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		body := strings.NewReader("fLaC")
		sum := crc64nvme.Checksum([]byte("fLaC"))
		if _, err := store.Create(t.Context(), track.ObjectSpec{Key: key, ContentType: "audio/flac", Digest: track.Digest{Size: 4, CRC64NVME: sum}}, body); err == nil {
			if o, err := store.Head(t.Context(), key, ""); err != nil || o.Size != 4 {
				t.Errorf("%q: %v, %v", key, o, err)
			}
		}
		_ = store.Delete(t.Context(), key)
		if _, err := store.CreateMultipart(t.Context(), key, "audio/flac", nil); err == nil && !filepath.IsLocal(key) {
			t.Errorf("a multipart upload of %q", key)
		}
		if entries, err := os.ReadDir(base); err != nil || len(entries) != 2 {
			t.Fatalf("%q: beside the root there is now %v, %v", key, entries, err)
		}
		if content, err := os.ReadFile(outside); err != nil || string(content) != "x" {
			t.Fatalf("%q: outside the root: %q, %v", key, content, err)
		}
	})
}
