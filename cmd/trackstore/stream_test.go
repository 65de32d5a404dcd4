package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx

	"trackstore/internal/testenv"
)

func stream(db *sql.DB, root *os.Root, api, token string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.PathValue("id")
		var backend, path string
		err := db.QueryRowContext(r.Context(),
			`SELECT storage_backend, coalesce(file_path, '') FROM tracks WHERE id = $1 AND deleted_at IS NULL`, id).Scan(&backend, &path)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			http.NotFound(w, r)
			return
		case err != nil:
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		if backend == "local" && path != "" {
			if file, err := root.Open(path); err == nil {
				defer file.Close()
				if info, err := file.Stat(); err == nil && info.Mode().IsRegular() {
					http.ServeContent(w, r, path, info.ModTime(), file) // Range, If-Modified-Since
					return
				}
			}
			// It may just have moved: trackstore knows.
		}
		request, err := http.NewRequestWithContext(r.Context(), http.MethodGet, api+"/v1/tracks/"+id+"/audio?redirect=0", nil)
		if err != nil {
			http.NotFound(w, r)
			return
		}
		request.Header.Set("Authorization", "Bearer "+token) // with the scope tracks:play
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			http.Error(w, "try again", http.StatusServiceUnavailable)
			return
		}
		defer answer.Body.Close()
		var playback struct {
			URL string `json:"url"`
		}
		if answer.StatusCode != http.StatusOK || json.NewDecoder(answer.Body).Decode(&playback) != nil {
			http.Error(w, http.StatusText(answer.StatusCode), answer.StatusCode)
			return
		}
		http.Redirect(w, r, playback.URL, http.StatusFound)
	}
}

// The endpoint of docs/platform.md is this one, and it plays what is on disk, with ranges, and sends a listener to
// trackstore for everything else.
func TestStreamingEndpoint(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("stream_test.go")
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/platform.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "```go\n")
	code, _, _ = strings.Cut(code, "```")
	if code == "" || !bytes.Contains(source, []byte(code)) {
		t.Error("docs/platform.md has another endpoint than this file")
	}

	db, err := sql.Open("pgx", testenv.Postgres(t))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.mp3"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	const id = "00000000-0000-4000-8000-00000000000"
	if _, err := db.ExecContext(t.Context(), `INSERT INTO tracks (id, creator_id, title, file_path, storage_backend, storage_key, deleted_at) VALUES
		('`+id+`1', gen_random_uuid(), 'x', 'a.mp3', 'local', NULL, NULL), ('`+id+`2', gen_random_uuid(), 'x', 'gone.mp3', 's3', 'k', NULL),
		('`+id+`3', gen_random_uuid(), 'x', 'gone.mp3', 'local', NULL, NULL), ('`+id+`4', gen_random_uuid(), 'x', 'a.mp3', 'local', NULL, now())`); err != nil {
		t.Fatal(err)
	}
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer token" || strings.Contains(r.URL.Path, id+"3") {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, `{"url":"https://bucket.example.com/k?signed"}`)
	}))
	defer api.Close()
	mux := http.NewServeMux()
	mux.Handle("GET /stream/{id}", stream(db, root, api.URL, "token"))
	for n, want := range map[string]struct {
		status int
		says   string
	}{
		"1": {http.StatusPartialContent, "2345"}, "2": {http.StatusFound, "https://bucket.example.com/k?signed"},
		"3": {http.StatusNotFound, ""}, "4": {http.StatusNotFound, ""},
	} {
		r := httptest.NewRequest(http.MethodGet, "/stream/"+id+n, http.NoBody)
		r.Header.Set("Range", "bytes=2-5")
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != want.status || !strings.Contains(w.Body.String()+w.Header().Get("Location"), want.says) {
			t.Errorf("%s: %d %s %s", n, w.Code, w.Body, w.Header().Get("Location"))
		}
	}
}
