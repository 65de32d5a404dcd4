package main

import (
	"bufio"
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver pgx

	"trackstore/internal/audiotest"
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

// The endpoints of docs/platform.md are the one above and e2e/platforms/rust's. They play what is on disk, and send a
// listener to trackstore for everything else.
func TestStreamingEndpoints(t *testing.T) {
	t.Parallel()
	inDocs(t, "go", "stream_test.go")
	inDocs(t, "rust", "../../e2e/platforms/rust/src/bin/stream.rs")

	s := start(t, t.TempDir())
	content := audiotest.WAV(1, 3)
	onS3, deleted := s.upload("put", content), s.upload("put", content)
	s.query("UPDATE tracks SET deleted_at = now() WHERE id = $1 RETURNING id::text", deleted)
	onDisk := s.query("SELECT id::text FROM tracks WHERE storage_backend = 'local' ORDER BY id LIMIT 1")
	file, err := os.ReadFile(filepath.Join(s.env["TRACK_LOCAL_DIR"], s.query("SELECT file_path FROM tracks WHERE id = $1", onDisk)))
	if err != nil {
		t.Fatal(err)
	}
	without := s.query("INSERT INTO tracks (id, creator_id, title) VALUES (gen_random_uuid(), gen_random_uuid(), 'x') RETURNING id::text")
	outside := s.query("INSERT INTO tracks (id, creator_id, title, file_path) VALUES (gen_random_uuid(), gen_random_uuid(), 'x', '../env') RETURNING id::text")

	endpoints := map[string]string{"go": s.streamInGo(), "rust": s.streamInRust()}
	for _, moved := range []bool{false, true} {
		if moved {
			s.run("migrate-storage", "run", "--track", onDisk)
		}
		for language, base := range endpoints {
			for _, c := range []struct {
				id      string
				content []byte // nil: none
			}{{onDisk, file}, {onS3, content}, {deleted, nil}, {without, nil}, {outside, nil}, {"00000000-0000-4000-8000-000000000000", nil}} {
				if status, got := get(t, base+"/stream/"+c.id, "bytes=30-49"); c.content == nil && (status < 400 || status >= 500) ||
					c.content != nil && (status != http.StatusPartialContent || !bytes.Equal(got, c.content[30:50])) {
					t.Errorf("%s, moved: %v: %s: %d %q", language, moved, c.id, status, got)
				}
				if status, got := get(t, base+"/stream/"+c.id, ""); c.content != nil && (status != http.StatusOK || !bytes.Equal(got, c.content)) {
					t.Errorf("%s, moved: %v: %s: %d, %d bytes", language, moved, c.id, status, len(got))
				}
			}
		}
	}
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

// inDocs fails the test unless the page's one block of a language stands in the file.
func inDocs(t *testing.T, language, file string) {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/platform.md")
	if err != nil {
		t.Fatal(err)
	}
	_, code, _ := strings.Cut(string(page), "```"+language+"\n")
	code, _, _ = strings.Cut(code, "```")
	if code == "" || !bytes.Contains(source, []byte(code)) {
		t.Errorf("docs/platform.md has another endpoint than %s", file)
	}
}

// playsAll is a token of a stream server.
func (s *localStack) playsAll() string {
	s.t.Helper()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{
		"sub": "stream-server", "scope": "tracks:play", "exp": time.Now().Add(time.Hour).Unix(),
	}).SignedString([]byte(s.env["JWT_SECRET"]))
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

func (s *localStack) streamInGo() string {
	s.t.Helper()
	db, err := sql.Open("pgx", s.env["DATABASE_URL"])
	if err != nil {
		s.t.Fatal(err)
	}
	root, err := os.OpenRoot(s.env["TRACK_LOCAL_DIR"])
	if err != nil {
		s.t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /stream/{id}", stream(db, root, s.env["TRACKSTORE_URL"], s.playsAll()))
	server := httptest.NewServer(mux)
	s.t.Cleanup(func() {
		server.Close()
		root.Close()
		db.Close()
	})
	return server.URL
}

func (s *localStack) streamInRust() string {
	s.t.Helper()
	const program = "../../bin/platforms/stream"
	if _, err := os.Stat(program); err != nil {
		testenv.Skip(s.t, "make platforms builds the program")
	}
	cmd := exec.CommandContext(s.t.Context(), program)
	cmd.Env = append(s.environ(), "TRACKSTORE_TOKEN="+s.playsAll())
	cmd.Stderr = s.t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(url)
}

// environ is the stack's env file as a process has it.
func (s *localStack) environ() (env []string) {
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

// run runs a command beside the stack, which must succeed.
func (s *localStack) run(args ...string) string {
	s.t.Helper()
	out, err := command(s.t, s.environ(), args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return string(out)
}

// get follows redirects, with the range.
func get(t *testing.T, url, byteRange string) (int, []byte) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if byteRange != "" {
		r.Header.Set("Range", byteRange)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, body
}
