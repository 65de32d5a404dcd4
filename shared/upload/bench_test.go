package upload_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"trackstore/shared/track"
)

// BenchmarkOpen opens uploads as clients do: over HTTP, with a JWT, in a real database.
// Beside the rate it prints how many of the SDK's presign calls, which have none of that,
// took the same time here and now.
func BenchmarkOpen(b *testing.B) {
	s := startBench(b)
	presign := s3.NewPresignClient(s.bucket.Client())
	const rounds = 500
	began := time.Now()
	for range rounds {
		if _, err := presign.PresignPutObject(b.Context(), &s3.PutObjectInput{
			Bucket: &s.bucket.Name, Key: aws.String("uploads/x/y.wav"), ContentType: aws.String("audio/wav"), ContentLength: aws.Int64(1000000), IfNoneMatch: aws.String("*"),
		}); err != nil {
			b.Fatal(err)
		}
	}
	bare := time.Since(began) / rounds
	each := time.Second
	for b.Loop() {
		each = rate(b, http.StatusCreated, s.opener())
	}
	b.ReportMetric(float64(time.Second)/float64(each), "req/s")
	b.ReportMetric(float64(each)/float64(bare), "SDK-presigns/req")
}

// BenchmarkCompanion asks Uppy's own Companion for forms, which needs neither a database
// nor a token, then this API for the same and for uploads, in turn. It needs Node.
func BenchmarkCompanion(b *testing.B) {
	s := startBench(b)
	companion := startCompanion(b)
	form := func(base func() string) func() *http.Request {
		return func() *http.Request {
			r, err := http.NewRequest(http.MethodGet, base()+"/s3/params?filename=a.wav&type=audio%2Fwav&metadata%5Bname%5D=a.wav", nil)
			if err != nil {
				b.Fatal(err)
			}
			return r
		}
	}
	theirForm := form(func() string { return companion })
	ourForm := form(crowd(func() string { return s.as(track.NewID()).companion().url }))
	rate(b, http.StatusOK, theirForm) // Node's compiler warms up
	var theirs, params, open time.Duration
	for b.Loop() {
		theirs += rate(b, http.StatusOK, theirForm)
		params += rate(b, http.StatusOK, ourForm)
		open += rate(b, http.StatusCreated, s.opener())
	}
	rounds := float64(b.N)
	b.ReportMetric(rounds*float64(time.Second)/float64(theirs), "companion-req/s")
	b.ReportMetric(float64(theirs)/float64(params), "x-by-form")
	b.ReportMetric(float64(theirs)/float64(open), "x-by-open")
}

func startBench(b *testing.B) *stage {
	plain := described
	described = func(_ testing.TB, api http.Handler) http.Handler { return api }
	b.Cleanup(func() { described = plain })
	return start(b)
}

// crowd deals out the users who share the load: many at a time, for the requests of one wait for each other, and each
// for an album's tracks.
func crowd(join func() string) (next func() string) {
	const atOnce, each = 64, 10
	var (
		mu      sync.Mutex
		members [atOnce]string
		dealt   int
	)
	return func() string {
		mu.Lock()
		defer mu.Unlock()
		seat, turn := dealt%atOnce, dealt/atOnce
		dealt++
		if turn%each == 0 {
			members[seat] = join()
		}
		return members[seat]
	}
}

// opener makes requests that open uploads.
func (s *stage) opener() func() *http.Request {
	token := crowd(func() string { return tokenOf(s.t, track.NewID()) })
	return func() *http.Request {
		const body = `{"title":"Nocturne","filename":"a.wav","content_type":"audio/wav","size":1000000}`
		r, err := http.NewRequest(http.MethodPost, s.url+"/v1/uploads", strings.NewReader(body))
		if err != nil {
			s.t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+token())
		return r
	}
}

// rate sends requests for two seconds by 32 connections, and returns what one took.
func rate(b *testing.B, status int, request func() *http.Request) time.Duration {
	b.Helper()
	const connections, span = 32, 2 * time.Second
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: connections}}
	defer client.CloseIdleConnections()
	var answers atomic.Int64
	var senders sync.WaitGroup
	began := time.Now()
	for range connections {
		senders.Go(func() {
			for time.Since(began) < span {
				response, err := client.Do(request())
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
				if response.StatusCode != status {
					b.Error(response.Status)
					return
				}
				answers.Add(1)
			}
		})
	}
	senders.Wait()
	return time.Since(began) / time.Duration(max(answers.Load(), 1))
}

// startCompanion returns the URL of Uppy's Companion, installed from npm where it is not.
func startCompanion(b *testing.B) string {
	b.Helper()
	const dir = "../../bench/companion"
	if _, err := exec.LookPath("node"); err != nil {
		b.Skip("there is no Node here")
	}
	if _, err := os.Stat(dir + "/node_modules"); err != nil {
		install := exec.CommandContext(b.Context(), "npm", "ci", "--no-audit", "--no-fund")
		install.Dir = dir
		if out, err := install.CombinedOutput(); err != nil {
			b.Fatalf("npm ci: %v\n%s", err, out)
		}
	}
	server := exec.CommandContext(b.Context(), "node", "server.js")
	server.Dir = dir
	server.Env = append(os.Environ(), "NODE_ENV=production")
	stdout, err := server.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := server.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if port, ok := strings.CutPrefix(lines.Text(), "port "); ok {
			go func() { // it logs each request
				_, _ = io.Copy(io.Discard, stdout)
			}()
			return "http://127.0.0.1:" + port
		}
	}
	b.Fatal("Companion ended at its start")
	return ""
}
