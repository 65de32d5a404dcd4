package functions_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// settings is an environment that every function starts with; nothing that it names is there, and nothing has to be.
var settings = []string{
	"APP_ENV=production", "DATABASE_URL=postgres://user@127.0.0.1:1/platform", "JWT_SECRET=0123456789abcdef0123456789abcdef",
	"TRACK_STORAGE_BACKEND=s3", "AWS_S3_ENABLED=true", "AWS_S3_BUCKET=platform-tracks", "AWS_REGION=eu-central-1",
	"AWS_ACCESS_KEY_ID=key", "AWS_SECRET_ACCESS_KEY=secret", "TRACK_LOCAL_DIR=/nonexistent",
	"AWS_LAMBDA_FUNCTION_NAME=function", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=512", "AWS_LAMBDA_FUNCTION_VERSION=1",
	"AWS_LAMBDA_LOG_STREAM_NAME=stream", "_HANDLER=bootstrap",
}

// BenchmarkStart measures what each function pays at a cold start, beside a function that does nothing: the time from the
// start of its process until it asks Lambda for its first event, the memory that it then has, and the size of what
// Lambda has to fetch.
//
//	ms/start       the median; both run in turn, so that they meet the same machine
//	×hello         that time over hello's
//	MB             of memory (resident), at that moment
//	MB-zip         the size of the package
func BenchmarkStart(b *testing.B) {
	binaries := map[string]string{"hello": filepath.Join(b.TempDir(), "bootstrap")}
	command := exec.Command("go", "build", "-trimpath", "-tags=lambda.norpc", "-ldflags=-s -w", "-o", binaries["hello"], "./testdata/hello")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
	architecture := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	for folder, id := range ids {
		dir := b.TempDir()
		command := exec.Command("make", "-s", "build-"+id, "ARTIFACTS_DIR="+dir, "ARCHITECTURE="+architecture)
		command.Dir = ".."
		if out, err := command.CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
		binaries[folder] = filepath.Join(dir, "bootstrap")
	}
	runtimeAPI := newRuntimeAPI()
	defer runtimeAPI.server.Close()
	for _, name := range []string{"hello", "presign-upload", "object-created", "migrate-batch", "sweep-uploads", "deliver-events", "migrate-schema"} {
		b.Run(name, func(b *testing.B) {
			var own, hello []time.Duration
			var memory int64
			for b.Loop() {
				took, resident := runtimeAPI.start(b, binaries[name])
				own, memory = append(own, took), max(memory, resident)
				took, _ = runtimeAPI.start(b, binaries["hello"])
				hello = append(hello, took)
			}
			b.ReportMetric(0, "ns/op") // of both processes and their ends, which nobody asks for
			b.ReportMetric(median(own).Seconds()*1e3, "ms/start")
			b.ReportMetric(float64(median(own))/float64(median(hello)), "×hello")
			b.ReportMetric(float64(memory)/1e6, "MB")
			b.ReportMetric(float64(zipped(b, binaries[name]))/1e6, "MB-zip")
		})
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}

// runtimeAPI is as much of the Lambda Runtime API as a function sees before its first event.
type runtimeAPI struct {
	server *httptest.Server
	polled chan time.Time
}

func newRuntimeAPI() *runtimeAPI {
	r := &runtimeAPI{polled: make(chan time.Time, 1)}
	r.server = httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		r.polled <- time.Now()
		<-req.Context().Done() // there is no event
	}))
	return r
}

// start starts a function until it asks for its first event.
func (r *runtimeAPI) start(b *testing.B, binary string) (took time.Duration, resident int64) {
	b.Helper()
	command := exec.Command(binary)
	var log bytes.Buffer
	command.Stderr = &log
	command.Env = append(slices.Clone(settings), "AWS_LAMBDA_RUNTIME_API="+strings.TrimPrefix(r.server.URL, "http://"))
	begin := time.Now()
	if err := command.Start(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	select {
	case at := <-r.polled:
		took = at.Sub(begin)
	case err := <-ended:
		b.Fatalf("%s: %v\n%s", binary, err, &log)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", command.Process.Pid))
	if err == nil { // Linux
		if match := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status); match != nil {
			kilobytes, _ := strconv.ParseInt(string(match[1]), 10, 64)
			resident = kilobytes << 10
		}
	}
	_ = command.Process.Kill()
	<-ended
	return took, resident
}

// zipped is the size of a binary as SAM packs it.
func zipped(b *testing.B, binary string) int {
	b.Helper()
	var packed bytes.Buffer
	archive := zip.NewWriter(&packed)
	entry, err := archive.Create("bootstrap")
	if err != nil {
		b.Fatal(err)
	}
	content, err := os.Open(binary)
	if err != nil {
		b.Fatal(err)
	}
	defer content.Close()
	if _, err := io.Copy(entry, content); err != nil {
		b.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		b.Fatal(err)
	}
	return packed.Len()
}
