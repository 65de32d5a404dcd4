package diskstore_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if err != nil {
		f.Fatal(err)
	}
	u, err := url.Parse(signed.URL)
	if err != nil {
		f.Fatal(err)
	}
	f.Add("PUT", u.Path, u.RawQuery, "audio/flac", "x")
	f.Add("GET", "/disk/../x", "signature=&expires=1", "", "")
	f.Add("POST", "/disk/", "", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"policy\"\r\n\r\n{}\r\n--x--\r\n")
	f.Add("PUT", "/disk/k", "part=1&upload=x&part=2", "", "")
	handler := store.Handler()
	f.Fuzz(func(t *testing.T, method, path, query, contentType, body string) {
		r := httptest.NewRequest(http.MethodGet, "/", strings.NewReader(body))
		r.Method, r.URL = method, &url.URL{Path: path, RawQuery: query}
		r.Header.Set("Content-Type", contentType)
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code < 400 || w.Code > 499 {
			t.Errorf("%s %q?%q: answered %d: %s", method, path, query, w.Code, w.Body)
		}
	})
}
