package upload_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
	"trackstore/shared/upload"
	"trackstore/web"
)

// The examples of docs/clients.md, run as a reader would.
func TestExamples(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/clients.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string][]string{}
	for _, m := range regexp.MustCompile("(?s)```(\\w+)\n(.*?)```").FindAllSubmatch(text, -1) {
		examples[string(m[1])] = append(examples[string(m[1])], string(m[2]))
	}
	if len(examples["sh"]) != 1 || len(examples["js"]) != 2 || len(examples["go"]) != 1 || len(examples) != 3 {
		t.Fatalf("examples: %d sh, %d js, %d go, %d languages", len(examples["sh"]), len(examples["js"]), len(examples["go"]), len(examples))
	}
	content := audiotest.WAV(200, 1) // 16.8 MiB: two parts
	script, err := web.FS.ReadFile("trackstore.js")
	if err != nil {
		t.Fatal(err)
	}

	// run writes the example into a file beside the song and starts it, on an API of its own.
	run := func(t *testing.T, name, example string, change func(*upload.Config), command ...string) (*stage, []byte) {
		t.Helper()
		t.Parallel()
		s := start(t, change)
		dir := t.TempDir()
		for file, content := range map[string][]byte{
			name: []byte(example), "song.wav": content, "trackstore.js": script, "package.json": []byte(`{"type": "module"}`),
		} {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], name)...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TRACKSTORE_URL="+s.url, "TRACKSTORE_TOKEN="+s.token)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v\n%s%s", err, out, stderr.Bytes())
		}
		if n := s.sql("SELECT count(*) FROM tracks WHERE status = 'ready' AND title = 'Nocturne'"); n != "1" {
			t.Errorf("%s tracks are ready\n%s%s", n, out, stderr.Bytes())
		}
		return s, out
	}
	small := func(*upload.Config) {}
	large := func(c *upload.Config) { c.Limits.SingleMaxBytes = 1 << 20 }

	t.Run("curl", func(t *testing.T) {
		run(t, "example.sh", "set -e\n"+examples["sh"][0], small, "bash")
	})
	// In a browser, e2e runs it, and plays what it uploaded.
	for name, limits := range map[string]func(*upload.Config){"trackstore.js": small, "trackstore.js in parts": large} {
		t.Run(name, func(t *testing.T) {
			_, out := run(t, "example.js", examples["js"][0]+`
				import { readFile } from 'node:fs/promises';
				const song = new File([await readFile('song.wav')], 'song.wav', { type: 'audio/wav' });
				const { TRACKSTORE_URL, TRACKSTORE_TOKEN } = process.env;
				const store = connect(TRACKSTORE_URL, ({ fresh }) => fresh ? TRACKSTORE_TOKEN : 'an old one');
				const shown = [];
				await upload(store, song, 'Nocturne', (...what) => shown.push(what.join(' ').trim()));
				console.log(shown[0], shown.at(-1));
			`, limits, "node")
			if string(out) != "reading 0 stored 100\n" {
				t.Errorf("it says %s", out)
			}
		})
	}
	t.Run("Uppy", func(t *testing.T) { // the plugin itself is tried in a browser, by e2e
		t.Parallel()
		file := filepath.Join(t.TempDir(), "example.mjs")
		if err := os.WriteFile(file, []byte(examples["js"][1]), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.CommandContext(t.Context(), "node", "--check", file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		dir := t.TempDir()
		main := filepath.Join(dir, "main.go")
		if err := os.WriteFile(main, []byte(examples["go"][0]), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "song.wav"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		binary := filepath.Join(dir, "main")
		if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, main).CombinedOutput(); err != nil { // in this module
			t.Fatalf("%v\n%s", err, out)
		}
		cmd := exec.CommandContext(t.Context(), binary)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "TRACKSTORE_URL="+s.url, "TRACKSTORE_TOKEN="+s.token)
		out, err := cmd.CombinedOutput()
		if err != nil || !strings.HasPrefix(string(out), "stored ") {
			t.Errorf("%s %v", out, err)
		}
	})
}

// Programs (e2e/clients) over clients that generators made of docs/openapi.yaml, each by the types of its own language: one
// upload with a checksum, its track, and what is played of it.
func TestGeneratedClients(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	at := func(path string) string { return filepath.Join(root, path) }
	for name, command := range map[string][]string{
		"Python":     {at("bin/clients/venv/bin/python"), at("e2e/clients/python/main.py")},
		"Go":         {at("bin/clients/go")},
		"TypeScript": {"node", at("e2e/clients/typescript/dist/main.js")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, file := range append(command, at("e2e/clients/python/api")) { // which has a program of its own, but no client
				if _, err := os.Stat(file); err != nil && filepath.IsAbs(file) {
					testenv.Skip(t, "make clients builds the programs")
				}
			}
			s := start(t)
			content := audiotest.WAV(2, 1)
			song := filepath.Join(t.TempDir(), "song.wav")
			if err := os.WriteFile(song, content, 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), command[0], append(command[1:], song)...)
			cmd.Env = append(os.Environ(), "TRACKSTORE_URL="+s.url, "TRACKSTORE_TOKEN="+s.token)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			played, err := cmd.Output()
			if err != nil {
				t.Fatalf("%v\n%s", err, stderr.Bytes())
			}
			if !bytes.Equal(played, content) {
				t.Errorf("of %d bytes %d others are played", len(content), len(played))
			}
			if n := s.sql(`SELECT count(*) FROM tracks JOIN track_uploads u ON u.track_id = tracks.id
				WHERE tracks.status = 'ready' AND u.state = 'stored' AND u.idempotency_key = 'a-key'`); n != "1" {
				t.Errorf("%s tracks are ready", n)
			}
		})
	}
}
