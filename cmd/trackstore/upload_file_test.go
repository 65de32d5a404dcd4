package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/minio/crc64nvme"

	"trackstore/internal/testenv"
	"trackstore/shared/track"
)

// refusingAPI is a server that notes what is asked of it, and refuses it.
func refusingAPI(t *testing.T) (getenv func(string) string, opened func() []map[string]any) {
	var mu sync.Mutex
	var all []map[string]any
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		_ = json.NewDecoder(r.Body).Decode(&body)
		mu.Lock()
		all = append(all, body)
		mu.Unlock()
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"code":"invalid_request","detail":"no"}`))
	}))
	t.Cleanup(server.Close)
	env := map[string]string{"TRACKSTORE_URL": server.URL, "TRACKSTORE_TOKEN": "token"}
	return func(name string) string { return env[name] }, func() []map[string]any {
		mu.Lock()
		defer mu.Unlock()
		return all
	}
}

// What is no file is refused at once, and holds up none that is one.
func TestUploadTakesFilesAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe, folder, file := filepath.Join(dir, "pipe.wav"), filepath.Join(dir, "folder.wav"), filepath.Join(dir, "file.wav")
	link := filepath.Join(dir, "link.wav")
	for _, err := range []error{
		syscall.Mkfifo(pipe, 0o600), os.Mkdir(folder, 0o700), os.WriteFile(file, []byte("RIFF"), 0o600), os.Symlink(pipe, link),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	getenv, opened := refusingAPI(t)
	var out, problems bytes.Buffer
	began := time.Now()
	code := run(context.Background(), []string{"upload", pipe, link, folder, "/dev/zero", filepath.Join(dir, "absent.wav"), file}, getenv, &out, &problems)
	if took := time.Since(began); code != 2 || took > 10*time.Second {
		t.Errorf("exit code %d after %s", code, took)
	}
	said := out.String() + problems.String()
	for _, want := range []string{
		pipe + ": is a pipe", link + ": is a pipe", folder + ": is a folder", "/dev/zero: is a device", "absent.wav: no such file", file + ": no",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is not in:\n%s", want, said)
		}
	}
	if len(opened()) != 1 {
		t.Errorf("opened %v", opened())
	}
}

// Of two files whose names differ in a byte that is no UTF-8, the one that is named is sent.
func TestUploadOpensTheFileThatIsNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, content := range map[string]string{"a\xff.wav": "one", "a\ufffd.wav": "another", "a\xfe.wav": "a third"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			testenv.Skip(t, "this file system has UTF-8 only: "+err.Error())
		}
	}
	getenv, opened := refusingAPI(t)
	var out bytes.Buffer
	run(context.Background(), []string{"upload", filepath.Join(dir, "a\xff.wav")}, getenv, &out, &out)
	if len(opened()) != 1 {
		t.Fatalf("opened %v: %s", opened(), out.String())
	}
	got, sum := opened()[0], track.NewCRC64NVME(crc64nvme.Checksum([]byte("one")))
	if got["filename"] != "a_.wav" || got["title"] != "a_" || got["size"] != 3.0 || got["checksum"].(map[string]any)["value"] != sum.Value {
		t.Errorf("opened %v", got)
	}
}

// What a file's name holds is no command to the terminal, and no line of its own.
func TestUploadQuotesOddNames(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "red\x1b[31m\nstored  it.wav")
	if err := os.WriteFile(name, []byte("RIFF"), 0o600); err != nil {
		testenv.Skip(t, "this file system has no such names: "+err.Error())
	}
	getenv, _ := refusingAPI(t)
	var out bytes.Buffer
	run(context.Background(), []string{"upload", name, name + "/absent"}, getenv, &out, &out)
	if said := out.String(); strings.Contains(said, "\x1b") || strings.Contains(said, "\nstored") || strings.Count(said, `"`) < 4 {
		t.Errorf("said %q", said)
	}
}
