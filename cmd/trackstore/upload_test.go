package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"trackstore/internal/audiotest"
)

// storageProxy stands between clients and the stack's S3 server. It counts the PUTs that
// went through, by path and part, and lets a test meddle with one before it is handed on.
type storageProxy struct {
	*httptest.Server
	upstream *httputil.ReverseProxy

	mu     sync.Mutex
	stored map[string]int // by path and part number
	meddle func(w http.ResponseWriter, r *http.Request, try int) (done bool)
	tries  map[string]int
}

func newStorageProxy(t *testing.T) *storageProxy {
	p := &storageProxy{stored: map[string]int{}, tries: map[string]int{}}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

// to sets where requests go. Their Host, which is signed, stays the proxy's.
func (p *storageProxy) to(t *testing.T, endpoint string) {
	target, err := url.Parse(endpoint)
	if err != nil {
		t.Fatal(err)
	}
	p.upstream = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(target)
			r.Out.Host = r.In.Host
		},
		ModifyResponse: func(answer *http.Response) error {
			if answer.Request.Method == http.MethodPut && answer.StatusCode == http.StatusOK {
				p.mu.Lock()
				p.stored[object(answer.Request)]++
				p.mu.Unlock()
			}
			return nil
		},
	}
}

func object(r *http.Request) string { return r.URL.Path + "#" + r.URL.Query().Get("partNumber") }

func (p *storageProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	try, meddle := p.tries[object(r)], p.meddle
	p.tries[object(r)]++
	p.mu.Unlock()
	if meddle == nil || r.Method != http.MethodPut || !meddle(w, r, try) {
		p.upstream.ServeHTTP(w, r)
	}
}

// while has PUTs meddled with, from scratch, until it is called again.
func (p *storageProxy) while(meddle func(w http.ResponseWriter, r *http.Request, try int) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.meddle = meddle
	clear(p.stored)
	clear(p.tries)
}

// counts returns how many objects or parts were stored, and the most often that one was.
func (p *storageProxy) counts() (different, most int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.stored {
		different, most = different+1, max(most, n)
	}
	return different, most
}

// cut breaks the connection when half of the body has come.
func cut(r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	panic(http.ErrAbortHandler)
}

// hang lets a request wait until its client is gone, which shows once its body is read.
func hang(r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

func TestUpload(t *testing.T) {
	t.Parallel()
	proxy := newStorageProxy(t)
	// Parts are of 16 MiB: what is larger than one PUT may be has several.
	stack := start(t, filepath.Join(t.TempDir(), "state"), "AWS_S3_PUBLIC_ENDPOINT="+proxy.URL, "UPLOAD_SINGLE_MAX_BYTES=4MiB")
	proxy.to(t, stack.env["AWS_S3_ENDPOINT"])
	env := []string{"TRACKSTORE_URL=" + stack.env["TRACKSTORE_URL"], "TRACKSTORE_TOKEN=" + stack.env["TRACKSTORE_TOKEN"]}
	dir := t.TempDir()
	seed := int64(0)
	wav := func(name string, seconds int) (path string, content []byte) {
		seed++
		path, content = filepath.Join(dir, name), audiotest.WAV(seconds, seed)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		return path, content
	}
	same := func(result map[string]any, content []byte) {
		t.Helper()
		if result["state"] != "stored" || result["error"] != nil {
			t.Fatalf("got %v", result)
		}
		if !bytes.Equal(stack.audio(result["track_id"].(string)), content) {
			t.Error("other bytes are served")
		}
	}

	t.Run("some are refused, the others stored", func(t *testing.T) {
		good, content := wav("good.wav", 1)
		liar := filepath.Join(dir, "liar.wav")
		if err := os.WriteFile(liar, []byte("<p>no audio</p>"), 0o600); err != nil {
			t.Fatal(err)
		}
		empty := filepath.Join(dir, "empty.wav")
		if err := os.WriteFile(empty, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		results, code := upload(t, env, good, liar, empty, dir, filepath.Join(dir, "absent.wav"), filepath.Join(dir, "x\n.txt"))
		if code != 2 {
			t.Errorf("exit code %d", code)
		}
		same(results["good.wav"], content)
		for name, want := range map[string]string{
			"liar.wav": "not_audio: the bytes are text", "empty.wav": "size", filepath.Base(dir): "is a folder", "absent.wav": "no such file", "x\n.txt": "no such file",
		} {
			if got, _ := results[name]["error"].(string); !strings.Contains(got, want) {
				t.Errorf("%q: %q does not say %q", name, got, want)
			}
		}
		if s := results["summary"]; s["stored"] != 1.0 || s["failed"] != 5.0 {
			t.Errorf("summary: %v", s)
		}
	})

	t.Run("what was uploaded before is not sent again", func(t *testing.T) {
		path, content := wav("twice.wav", 1)
		first, code := upload(t, env, path)
		if code != 0 {
			t.Fatalf("exit code %d: %v", code, first)
		}
		proxy.while(nil)
		again, _ := upload(t, env, path)
		same(again["twice.wav"], content)
		if again["twice.wav"]["track_id"] != first["twice.wav"]["track_id"] {
			t.Error("it became another track")
		}
		if n, _ := proxy.counts(); n != 0 {
			t.Errorf("%d PUTs", n)
		}
		anew, _ := upload(t, env, "--again", path)
		if anew["twice.wav"]["track_id"] == first["twice.wav"]["track_id"] {
			t.Error("--again made no new track")
		}
		replaced, _ := upload(t, env, "--again", "--track", first["twice.wav"]["track_id"].(string), path)
		same(replaced["twice.wav"], content)
		if replaced["twice.wav"]["track_id"] != first["twice.wav"]["track_id"] {
			t.Error("--track made a new track")
		}
	})

	t.Run("storage that fails in passing", func(t *testing.T) {
		path, content := wav("passing.wav", 1)
		large, largeContent := wav("passing large.wav", 450)
		proxy.while(func(w http.ResponseWriter, r *http.Request, try int) bool {
			switch try {
			case 0:
				cut(r)
			case 1:
				http.Error(w, "slow down", http.StatusServiceUnavailable)
				return true
			case 2: // it is stored, and the answer is lost
				proxy.upstream.ServeHTTP(httptest.NewRecorder(), r)
				panic(http.ErrAbortHandler)
			}
			return false
		})
		results, code := upload(t, env, path, large)
		proxy.while(nil)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		same(results["passing.wav"], content)
		same(results["passing large.wav"], largeContent)
	})

	t.Run("killed three times, and taken up where it stopped", func(t *testing.T) {
		path, content := wav("killed.wav", 900) // 75 MiB: 5 parts
		sent := 0
		for range 3 {
			var hangs atomic.Bool
			proxy.while(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
				if n, _ := proxy.counts(); n > 0 {
					hangs.Store(true)
					hang(r)
				}
				return false
			})
			cmd := command(t, env, "upload", "--parallel", "1", path)
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			// Until the request in flight hangs, so that no part is on its way when it dies.
			for deadline := time.Now().Add(60 * time.Second); !hangs.Load(); time.Sleep(10 * time.Millisecond) {
				if time.Now().After(deadline) {
					t.Fatal("no part came")
				}
			}
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
			n, most := proxy.counts()
			if sent += n; n != 1 || most != 1 {
				t.Errorf("%d parts were stored, one of them %d times", n, most)
			}
		}

		proxy.while(nil)
		results, code := upload(t, env, path)
		if code != 0 {
			t.Errorf("exit code %d", code)
		}
		same(results["killed.wav"], content)
		if rest, most := proxy.counts(); sent+rest != 5 || most != 1 {
			t.Errorf("%d parts were stored before it was killed, %d after", sent, rest)
		}
	})

	t.Run("killed while the storage puts the parts together", func(t *testing.T) {
		path, content := wav("assembled.wav", 450)
		first, _ := upload(t, env, path)
		id := first["assembled.wav"]["upload_id"].(string)
		// As it is then: the parts are gone, and the row does not know yet.
		stack.query("UPDATE track_uploads SET state = 'pending', finished_at = NULL WHERE id = $1 RETURNING id::text", id)
		done := make(chan map[string]map[string]any)
		go func() {
			again, _ := upload(t, env, path)
			done <- again
		}()
		time.Sleep(500 * time.Millisecond) // it has found out, most likely
		stack.query("UPDATE track_uploads SET state = 'stored', finished_at = now() WHERE id = $1 RETURNING id::text", id)
		same((<-done)["assembled.wav"], content)
	})

	t.Run("interrupted", func(t *testing.T) {
		path, content := wav("interrupted.wav", 1)
		proxy.while(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			hang(r)
			return true
		})
		cmd := command(t, env, "upload", path)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for {
			proxy.mu.Lock()
			n := len(proxy.tries)
			proxy.mu.Unlock()
			if n > 0 {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait()
		if code := cmd.ProcessState.ExitCode(); code != 3 || !strings.Contains(stderr.String(), "interrupted") {
			t.Errorf("exit code %d: %s", code, &stderr)
		}
		proxy.while(nil)
		results, _ := upload(t, env, path)
		same(results["interrupted.wav"], content)
	})

	t.Run("no server", func(t *testing.T) {
		path, _ := wav("nobody.wav", 1)
		var stderr bytes.Buffer
		cmd := command(t, []string{"TRACKSTORE_URL=http://127.0.0.1:1", env[1]}, "upload", "--give-up", "500ms", path)
		cmd.Stderr = &stderr
		_ = cmd.Run()
		if code := cmd.ProcessState.ExitCode(); code != 1 {
			t.Errorf("exit code %d", code)
		}
		// Said once, though it tries more often, and before it gives up.
		waiting, _, _ := strings.Cut(stderr.String(), "failed")
		if strings.Count(waiting, "trying again") != 1 || !strings.Contains(waiting, "connection refused") {
			t.Errorf("it does not say what it waits for: %s", &stderr)
		}
	})

	t.Run("no storage, and no signature in what is said of it", func(t *testing.T) {
		path, _ := wav("unstored.wav", 1)
		proxy.while(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
			cut(r)
			return true
		})
		defer proxy.while(nil)
		var stderr bytes.Buffer
		cmd := command(t, env, "upload", "--give-up", "500ms", path)
		cmd.Stderr = &stderr
		_ = cmd.Run()
		text := stderr.String()
		if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(text, proxy.URL) || strings.Contains(text, "X-Amz") {
			t.Errorf("exit code %d: %s", code, text)
		}
	})

	t.Run("a token that is none", func(t *testing.T) {
		path, _ := wav("stranger.wav", 1)
		results, code := upload(t, []string{env[0], "TRACKSTORE_TOKEN=rubbish"}, path)
		if got, _ := results["stranger.wav"]["error"].(string); code != 2 || !strings.Contains(got, "token") {
			t.Errorf("exit code %d: %v", code, results)
		}
	})
}

// upload runs the command with --json, and returns its lines by the files' names, the
// summary by "summary", and the exit code.
func upload(t *testing.T, env []string, args ...string) (results map[string]map[string]any, code int) {
	t.Helper()
	cmd := command(t, env, append([]string{"upload", "--json"}, args...)...)
	out, err := cmd.Output()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	results = make(map[string]map[string]any)
	for line := range strings.Lines(string(out)) {
		var result map[string]any
		if err := json.Unmarshal([]byte(line), &result); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		name := fmt.Sprint(result["event"])
		if file, ok := result["file"].(string); ok {
			name = filepath.Base(file)
		}
		results[name] = result
	}
	return results, cmd.ProcessState.ExitCode()
}
