package main

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
)

// hls is examples/hls, built as its own module, beside a running stack.
type hls struct {
	*localStack
	program   string
	variables []string
	url       string
	secret    string
	scratch   string // where its inbox is, and renditions on disk
	onDisk    bool
	process   *exec.Cmd
}

func startHLS(t *testing.T, backend string) *hls {
	t.Helper()
	for _, tool := range []string{"ffmpeg", "ffprobe"} {
		if _, err := exec.LookPath(tool); err != nil {
			testenv.Skip(t, tool+" is not installed")
		}
	}
	h := &hls{scratch: t.TempDir(), onDisk: backend == "local", secret: "whsec_dHJhY2tzdG9yZSBhbmQgaGxzLCBib3RoIG9mIHRoZW0="}
	h.program = filepath.Join(h.scratch, "hls")
	build := exec.CommandContext(t.Context(), "go", "build", "-C", "../../examples/hls", "-o", h.program, ".")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	address := fmt.Sprint("127.0.0.1:", freePort(t))
	h.url = "http://" + address
	h.localStack = start(t, filepath.Join(t.TempDir(), ".local"), "TRACK_STORAGE_BACKEND="+backend,
		"EVENTS_WEBHOOK_URL="+h.url+"/events", "EVENTS_WEBHOOK_SECRET="+h.secret)
	h.variables = append(h.environ(), "PATH="+os.Getenv("PATH"), "HLS_ADDRESS="+address, "HLS_INBOX="+filepath.Join(h.scratch, "inbox"), "TRACKSTORE_TOKEN="+h.playsAll())
	if h.onDisk {
		h.variables = append(h.variables, "HLS_DIR="+filepath.Join(h.scratch, "renditions"))
	}
	h.begin()
	return h
}

func (h *hls) begin() {
	h.t.Helper()
	h.process = exec.CommandContext(h.t.Context(), h.program)
	h.process.Env, h.process.Stderr = h.variables, h.t.Output()
	if err := h.process.Start(); err != nil {
		h.t.Fatal(err)
	}
	process := h.process
	h.t.Cleanup(func() { _ = process.Process.Kill(); _ = process.Wait() })
	eventually(h.t, "the service listens", func() bool {
		conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// files lists what lies below hls/, each with what tells one writing from another.
func (h *hls) files() (files []string) {
	h.t.Helper()
	if dir := filepath.Join(h.scratch, "renditions"); h.onDisk {
		_ = filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				info, err := entry.Info()
				files = append(files, fmt.Sprint(strings.TrimPrefix(file, dir+"/"), " ", info.ModTime().UnixNano(), err))
			}
			return nil
		})
		return files
	}
	service := s3.New(s3.Options{
		Region: h.env["AWS_REGION"], BaseEndpoint: aws.String(h.env["AWS_S3_ENDPOINT"]), UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider(h.env["AWS_ACCESS_KEY_ID"], h.env["AWS_SECRET_ACCESS_KEY"], ""),
	})
	versions, err := service.ListObjectVersions(h.t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(h.env["AWS_S3_BUCKET"]), Prefix: aws.String("hls/")})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, v := range versions.Versions {
		if *v.IsLatest {
			files = append(files, *v.Key+" "+*v.VersionId)
		}
	}
	return files
}

// plays waits until the track's playlist is of that many seconds, as ffprobe reads it.
func (h *hls) plays(id, seconds string) {
	h.t.Helper()
	eventually(h.t, "a rendition of "+seconds+" s", func() bool {
		out, err := exec.CommandContext(h.t.Context(), "ffprobe", "-v", "error", "-show_entries", "stream=codec_name:format=duration", "-of", "csv=p=0",
			h.url+"/hls/"+id+"/index.m3u8").CombinedOutput()
		return err == nil && strings.Contains(string(out), "aac") && strings.Contains(string(out), "\n"+seconds+".")
	})
}

// tell sends an event of the table again, as the webhook does.
func (h *hls) tell(id, kind string, want int) {
	h.t.Helper()
	body := h.query(`SELECT json_build_object('specversion', '1.0', 'id', id, 'type', 'trackstore.track.' || type, 'subject', track_id,
		'sequence', lpad(seq::text, 19, '0'), 'data', data)::text FROM track_events WHERE track_id = $1 AND type = $2`, id, kind)
	verifier, err := standardwebhooks.NewWebhook(h.secret)
	if err != nil {
		h.t.Fatal(err)
	}
	now := time.Now()
	signature, err := verifier.Sign("msg", now, []byte(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if want == http.StatusUnauthorized {
		body = strings.Replace(body, "trackstore", "trickstore", 1)
	}
	r, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, h.url+"/events", strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	r.Header.Set("webhook-id", "msg")
	r.Header.Set("webhook-timestamp", fmt.Sprint(now.Unix()))
	r.Header.Set("webhook-signature", signature)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		h.t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != want {
		h.t.Errorf("%s again: %d, want %d", kind, resp.StatusCode, want)
	}
}

// idle waits until the inbox is empty.
func (h *hls) idle() {
	h.t.Helper()
	eventually(h.t, "an empty inbox", func() bool {
		waiting, err := filepath.Glob(filepath.Join(h.scratch, "inbox", "*.json"))
		return err == nil && len(waiting) == 0
	})
}

// replace gives a track another file.
func (h *hls) replace(id string, content []byte) {
	h.t.Helper()
	ticket := h.call("POST", "/v1/uploads", fmt.Sprintf(`{"track_id":%q,"filename":"take 2.wav","size":%d}`, id, len(content)), http.StatusCreated)
	h.send("put", ticket["put"].(map[string]any), content)
}

// The example makes a rendition once for each new file of a track, whatever comes again or late, and removes it with the
// track; trackstore takes it for nobody's orphan.
func TestHLSExample(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"s3", "local"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			h := startHLS(t, backend)
			id := h.upload("put", audiotest.WAV(8, 1))
			h.plays(id, "8")
			h.idle()
			first := h.files()
			if len(first) != 4 { // two playlists, two segments
				t.Errorf("%q", first)
			}
			h.tell(id, "ready", http.StatusUnauthorized) // not as it was signed
			h.tell(id, "ready", http.StatusNoContent)
			h.idle()
			if again := h.files(); !slices.Equal(first, again) {
				t.Errorf("after the same event again: %q, before %q", again, first)
			}

			h.replace(id, audiotest.WAV(3, 2))
			h.plays(id, "3")
			h.tell(id, "ready", http.StatusNoContent) // late
			h.idle()
			h.plays(id, "3")
			if left := h.files(); len(left) != 6 { // and what somebody may be playing
				t.Errorf("%q", left)
			}

			// What comes while the service is down is delivered, and what it had taken is acted upon.
			if err := h.process.Process.Kill(); err != nil {
				t.Fatal(err)
			}
			_ = h.process.Wait()
			h.replace(id, audiotest.WAV(2, 3))
			other := h.upload("put", audiotest.WAV(4, 4))
			h.begin()
			h.run("events", "retry")
			h.run("events", "deliver")
			h.plays(id, "2")
			h.plays(other, "4")

			if !h.onDisk { // an audit compares disk and bucket
				audit := command(t, append(h.environ(), "STORAGE_GRACE=1ms"), "migrate-storage", "audit")
				if out, _ := audit.CombinedOutput(); audit.ProcessState.ExitCode() != 2 || !strings.Contains(string(out), "object_without_row") || strings.Contains(string(out), "hls/") {
					t.Errorf("audit: %s", out) // of what was replaced, and of nothing else
				}
			}

			h.query("WITH gone AS (DELETE FROM tracks WHERE id = $1 RETURNING id) SELECT id::text FROM gone", other)
			h.query("UPDATE tracks SET deleted_at = now() WHERE id = $1 RETURNING id::text", id)
			h.run("events", "deliver")
			eventually(t, "no rendition", func() bool { return len(h.files()) == 0 })
			h.tell(id, "ready", http.StatusNoContent)
			h.idle()
			if left := h.files(); len(left) > 0 {
				t.Errorf("after a late event of a deleted track: %q", left)
			}
			h.stop(h.cmd.Process.Pid, syscall.SIGTERM)
		})
	}
}
