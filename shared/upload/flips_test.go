package upload_test

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"golang.org/x/sync/errgroup"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv/proxy"
	"trackstore/shared/client"
	"trackstore/shared/track"
	"trackstore/shared/upload"
	"trackstore/web"
)

var flips = flag.Int("flips", 300, "how many bits TestNoFlippedBitIsStored flips in bodies, over all clients")

const (
	flipsAtOnce = 40
	flippedFile = "flipped.wav"
)

// One bit of each PUT flips on its way to the storage: of its body, or, of some, of what goes before. Whatever the client, the
// storage refuses the body; and what a flip in a header does not stop is stored as it was.
func TestNoFlippedBitIsStored(t *testing.T) {
	t.Parallel()
	content := audiotest.WAV(1, 1)[:4000]
	clients := map[string]func(s *stage, dir string){"curl": flipsOfCurl, "trackstore.js": flipsOfTheScript, "the Go client": flipsOfTheGoClient}
	for name, send := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t, func(c *upload.Config) { c.Limits.MaxPending = 1 << 20 })
			line := proxy.NewFlipper(t, s.bucket.Endpoint)
			s.by(line)
			dir := t.TempDir()
			if err := os.WriteFile(filepath.Join(dir, flippedFile), content, 0o600); err != nil {
				t.Fatal(err)
			}
			for line.Flips.Load() < int64(*flips/len(clients)) && !t.Failed() {
				send(s, dir)
			}
			// Whoever insists has them all looked at again.
			pending := strings.Fields(s.sql("SELECT string_agg(id::text, ' ') FROM track_uploads WHERE state = 'pending'"))
			sideBySide(len(pending), func(i int) { s.call("POST", "/v1/uploads/"+pending[i]+"/complete", nil) })
			whole := s.objects(content)
			if s.sql("SELECT (count(*) > $1)::text FROM tracks WHERE status = 'ready'", whole) != "false" {
				t.Errorf("more tracks are ready than the %d objects that there are", whole)
			}
			t.Logf("%d bits of bodies were flipped; of %s uploads %d arrived, as they were", line.Flips.Load(), s.sql("SELECT count(*)::text FROM track_uploads"), whole)
			if n := line.Taken.Load(); n != 0 {
				t.Errorf("the storage took %d damaged bodies", n)
			}
		})
	}
}

// by has the API's answers lead to the storage by a line.
func (s *stage) by(line *proxy.Flipper) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		s.api.ServeHTTP(answer, r)
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.WriteHeader(answer.Code)
		_, _ = io.WriteString(w, line.Rewrite(answer.Body.String()))
	}))
	s.t.Cleanup(server.Close)
	s.url = server.URL
}

// objects returns how many there are; each must be as the file was.
func (s *stage) objects(content []byte) (n int) {
	s.t.Helper()
	ctx, client := s.t.Context(), s.bucket.Client()
	pages := s3.NewListObjectsV2Paginator(client, &s3.ListObjectsV2Input{Bucket: &s.bucket.Name})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, o := range page.Contents {
			object, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &s.bucket.Name, Key: o.Key})
			if err != nil {
				s.t.Fatal(err)
			}
			got, err := io.ReadAll(object.Body)
			_ = object.Body.Close()
			if err != nil || !bytes.Equal(got, content) {
				s.t.Errorf("%s has other bytes (%v)", *o.Key, err)
			}
			n++
		}
	}
	return n
}

func (s *stage) flipped(dir string) (content []byte, checksum track.Checksum) {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, flippedFile))
	if err != nil {
		s.t.Fatal(err)
	}
	checksum, err = client.Checksum(s.t.Context(), bytes.NewReader(content))
	if err != nil {
		s.t.Fatal(err)
	}
	return content, checksum
}

func flipsOfCurl(s *stage, dir string) {
	s.t.Helper()
	content, checksum := s.flipped(dir)
	tickets := make([]answer, flipsAtOnce)
	sideBySide(flipsAtOnce, func(i int) { tickets[i] = s.open(len(content), "checksum", checksum) })
	config := []string{"silent", "show-error", "parallel", "parallel-immediate"}
	for i, o := range tickets {
		if i > 0 {
			config = append(config, "next")
		}
		config = append(config, "upload-file = "+flippedFile, "output = /dev/null", `header = "Expect:"`, fmt.Sprintf("url = %q", o.obj("put").str("url")))
		for name, value := range o.obj("put").obj("headers") {
			config = append(config, fmt.Sprintf("header = %q", name+": "+value.(string)))
		}
	}
	curl := exec.CommandContext(s.t.Context(), "curl", "--config", "-")
	curl.Dir, curl.Stdin = dir, strings.NewReader(strings.Join(config, "\n"))
	_ = curl.Run() // where the length was flipped there is no answer
}

func flipsOfTheScript(s *stage, dir string) {
	s.t.Helper()
	script, err := web.FS.ReadFile("trackstore.js")
	if err != nil {
		s.t.Fatal(err)
	}
	for name, text := range map[string][]byte{"trackstore.js": script, "package.json": []byte(`{"type": "module"}`), "flips.js": []byte(`
		import { readFile } from 'node:fs/promises';
		import { Trackstore } from './trackstore.js';
		const [, , name, atOnce] = process.argv;
		const { TRACKSTORE_URL, TRACKSTORE_TOKEN } = process.env;
		const store = new Trackstore(TRACKSTORE_URL, TRACKSTORE_TOKEN, { parallel: Number(atOnce), patience: 5000 });
		const file = new File([await readFile(name)], name, { type: 'audio/wav' });
		// One after the other's content would be one upload: each has a title of its own.
		await Promise.allSettled(Array.from({ length: Number(atOnce) }, (_, i) => store.upload(file, { title: 'Nocturne ' + i }).done));
	`)} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	node := exec.CommandContext(s.t.Context(), "node", "flips.js", flippedFile, fmt.Sprint(flipsAtOnce))
	node.Dir = dir
	node.Env = append(os.Environ(), "TRACKSTORE_URL="+s.url, "TRACKSTORE_TOKEN="+s.token)
	if out, err := node.CombinedOutput(); err != nil {
		s.t.Errorf("%v\n%s", err, out)
	}
}

func flipsOfTheGoClient(s *stage, dir string) {
	s.t.Helper()
	content, _ := s.flipped(dir)
	c := client.New(s.url, s.token, client.Options{Parallel: flipsAtOnce, GiveUp: 5 * time.Second})
	sideBySide(flipsAtOnce, func(int) {
		_, _ = c.Send(s.t.Context(), track.NewID().String(), client.Request{
			Title: "Nocturne", Filename: flippedFile, Size: int64(len(content)),
		}, bytes.NewReader(content), nil)
	})
}

// sideBySide does the same for 0 to n-1, many at once.
func sideBySide(n int, do func(i int)) {
	var group errgroup.Group
	group.SetLimit(flipsAtOnce)
	for i := range n {
		group.Go(func() error {
			do(i)
			return nil
		})
	}
	_ = group.Wait() // there is no error
}
