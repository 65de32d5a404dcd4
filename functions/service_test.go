package functions_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// service is as much of Lambda as runs one function: it starts a process when an event
// needs one, hands the event over by the Runtime API, and ends a process that is late.
type service struct {
	t      testing.TB
	binary string
	env    []string
	server *httptest.Server
	next   chan *invocation

	mu        sync.Mutex
	answers   map[string]chan answer // by request id
	starts    int
	initError string
	process   *exec.Cmd
	exited    chan struct{} // of process
	asked     time.Time     // when a process first asked for an event
	log       bytes.Buffer  // what all processes wrote to stderr
	metrics   bytes.Buffer  // and to stdout
}

type invocation struct {
	id       string
	event    []byte
	deadline time.Time
}

// answer is what a function answered to one event.
type answer struct {
	body   string
	failed bool // body is an error
}

// serve runs a program, by its folder, in an environment.
func (p *programs) serve(t testing.TB, folder string, env ...string) *service {
	s := &service{
		t: t, binary: p.binary(t, folder), next: make(chan *invocation), answers: make(map[string]chan answer),
		env: append(env, "AWS_LAMBDA_FUNCTION_NAME="+folder, "AWS_LAMBDA_FUNCTION_VERSION=1", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=256",
			"AWS_LAMBDA_LOG_GROUP_NAME=group", "AWS_LAMBDA_LOG_STREAM_NAME=stream", "_HANDLER=bootstrap"),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", s.handOver)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", func(w http.ResponseWriter, r *http.Request) { s.take(w, r, false) })
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", func(w http.ResponseWriter, r *http.Request) { s.take(w, r, true) })
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.initError = string(body)
		s.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	})
	s.server = httptest.NewServer(mux)
	t.Cleanup(func() {
		s.kill()
		s.server.CloseClientConnections()
		s.server.Close()
	})
	return s
}

func (s *service) handOver(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	if s.asked.IsZero() {
		s.asked = time.Now()
	}
	s.mu.Unlock()
	select {
	case <-r.Context().Done():
	case in := <-s.next:
		w.Header().Set("Lambda-Runtime-Aws-Request-Id", in.id)
		w.Header().Set("Lambda-Runtime-Deadline-Ms", fmt.Sprint(in.deadline.UnixMilli()))
		w.Header().Set("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:eu-central-1:123456789012:function:x")
		w.Header().Set("Lambda-Runtime-Trace-Id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Parent=9a9197af755a6419;Sampled=1")
		_, _ = w.Write(in.event)
	}
}

func (s *service) take(w http.ResponseWriter, r *http.Request, failed bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	answers := s.answers[r.PathValue("id")]
	s.mu.Unlock()
	if answers == nil {
		s.t.Errorf("an answer to %q, which was not asked", r.PathValue("id"))
		return
	}
	answers <- answer{string(body), failed}
	w.WriteHeader(http.StatusAccepted)
}

// start starts a process unless one runs.
func (s *service) start() (exited chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.exited != nil {
		select {
		case <-s.exited:
		default:
			return s.exited
		}
	}
	s.process = exec.Command(s.binary)
	s.process.Dir = s.t.TempDir() // /var/task is no place to write to
	s.process.Env = append([]string{"PATH=/usr/bin:/bin", "AWS_LAMBDA_RUNTIME_API=" + strings.TrimPrefix(s.server.URL, "http://")}, s.env...)
	s.process.Stderr, s.process.Stdout = &s.log, &s.metrics
	if err := s.process.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.starts++
	process, done := s.process, make(chan struct{})
	s.exited = done
	go func() {
		_ = process.Wait()
		close(done)
	}()
	return done
}

func (s *service) kill() {
	s.mu.Lock()
	process, exited := s.process, s.exited
	s.mu.Unlock()
	if process != nil {
		_ = process.Process.Kill()
		<-exited
	}
}

// invoke has an event answered within timeout.
func (s *service) invoke(event []byte, timeout time.Duration) answer {
	s.t.Helper()
	exited := s.start()
	in := &invocation{id: fmt.Sprintf("request-%d", time.Now().UnixNano()), event: event, deadline: time.Now().Add(timeout)}
	answers := make(chan answer, 1)
	s.mu.Lock()
	s.answers[in.id] = answers
	s.mu.Unlock()
	late := time.After(timeout)
	select {
	case s.next <- in:
	case <-exited:
		return answer{"Runtime exited before it asked for an event", true}
	case <-late:
		s.kill()
		return answer{"Task timed out at its start", true}
	}
	select {
	case a := <-answers:
		return a
	case <-late:
		s.kill()
		return answer{"Task timed out", true}
	case <-exited:
	}
	select {
	case a := <-answers: // its last words
		return a
	default:
		return answer{"Runtime exited without an answer", true}
	}
}

// polled returns how long after a moment a process first asked for an event.
func (s *service) polled(since time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked.Sub(since)
}

// logged returns what the ended process wrote to stderr.
func (s *service) logged() string {
	s.kill()
	return s.log.String()
}

// programs builds programs of this module, each once.
type programs struct {
	dir   string
	built sync.Map // by folder
}

// binary returns the binary of a function, or of a program in testdata.
func (p *programs) binary(t testing.TB, folder string) string {
	t.Helper()
	build, _ := p.built.LoadOrStore(folder, sync.OnceValues(func() (string, error) {
		source := "./" + folder
		if _, err := os.Stat(folder); err != nil {
			source = "./testdata/" + folder
		}
		binary := filepath.Join(p.dir, folder)
		out, err := exec.Command("go", "build", "-tags=lambda.norpc", "-o", binary, source).CombinedOutput()
		if err != nil {
			err = fmt.Errorf("%w\n%s", err, out)
		}
		return binary, err
	}))
	binary, err := build.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return binary
}
