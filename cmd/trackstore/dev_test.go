package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/audiotest"
	"trackstore/internal/testenv"
)

// localStack is a running `trackstore dev`.
type localStack struct {
	t   testing.TB
	dir string // of its state
	cmd *exec.Cmd
	out *bytes.Buffer
	env map[string]string // as a shell reads the env file

	exited chan struct{}
	err    error // of the process, once it has exited
}

// launch starts a stack and does not wait for it. On local disk it is started beside its state, and elsewhere within the
// source tree, which says how to build the S3 server.
func launch(t testing.TB, dir string, env ...string) *localStack {
	t.Helper()
	s := &localStack{t: t, dir: dir, out: &bytes.Buffer{}, exited: make(chan struct{})}
	s.cmd = command(t, append([]string{"TRACKSTORE_DEV_DIR=" + dir, fmt.Sprint("PORT=", freePort(t))}, env...), "dev")
	if slices.Contains(env, "TRACK_STORAGE_BACKEND=local") {
		s.cmd.Env = append(s.cmd.Env, "TRACKSTORE_DEV_DIR="+filepath.Base(dir))
		s.cmd.Dir = filepath.Dir(dir)
		if err := os.MkdirAll(s.cmd.Dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	s.cmd.Stdout, s.cmd.Stderr = s.out, s.out
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.exited)
	}()
	t.Cleanup(func() {
		_ = s.cmd.Process.Kill() // where the test did not stop it
		<-s.exited
		if t.Failed() {
			t.Logf("the stack in %s said:\n%s", dir, s.out)
		}
	})
	return s
}

// start starts a stack and returns when it is up.
func start(t testing.TB, dir string, env ...string) *localStack {
	t.Helper()
	launched := time.Now()
	s := launch(t, dir, env...)
	envFile := filepath.Join(dir, "env")
	for {
		// One that is older is of a stack that was killed.
		if info, err := os.Stat(envFile); err == nil && !info.ModTime().Before(launched.Truncate(time.Millisecond*10)) {
			break
		}
		select {
		case <-s.exited:
			t.Fatalf("the stack ended before it was up: %v", s.err)
		case <-time.After(20 * time.Millisecond):
		}
	}
	s.env = source(t, envFile)
	return s
}

// source reads an env file as a shell does.
func source(t testing.TB, file string) map[string]string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "sh", "-c", `set -aeu; . "$0"; env -0`, file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("source %s: %v", file, err)
	}
	env := make(map[string]string)
	for _, line := range strings.Split(string(out), "\x00") {
		name, value, _ := strings.Cut(line, "=")
		env[name] = value
	}
	return env
}

// stop sends signals to a process, or to a group where pid is negative, and waits for the stack's end, which must be
// a good one that leaves nothing behind.
func (s *localStack) stop(pid int, signals ...syscall.Signal) {
	s.t.Helper()
	for _, sig := range signals {
		if err := syscall.Kill(pid, sig); err != nil {
			s.t.Fatal(err)
		}
	}
	select {
	case <-s.exited:
	case <-time.After(20 * time.Second):
		s.t.Fatal("the stack still runs 20 s after it was told to stop")
	}
	if s.err != nil {
		s.t.Errorf("the stack ended with %v", s.err)
	}
	for _, name := range []string{"env", "sam-env.json"} {
		if _, err := os.Stat(filepath.Join(s.dir, name)); err == nil {
			s.t.Errorf("%s is still there", name)
		}
	}
	if left := processes(s.t, s.dir); len(left) > 0 {
		s.t.Errorf("still running: %q", left)
	}
}

// processes lists the command lines of processes that work on a state folder.
func processes(t testing.TB, dir string) (found []string) {
	t.Helper()
	real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")) // it may lie elsewhere
	if err != nil {
		real = dir
	}
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		line, err := os.ReadFile(file)
		if err == nil && (bytes.Contains(line, []byte(dir)) || bytes.Contains(line, []byte(real))) {
			found = append(found, string(bytes.ReplaceAll(line, []byte{0}, []byte(" "))))
		}
	}
	return found
}

// call calls the API and decodes its answer, whose status must be want.
func (s *localStack) call(method, path, body string, want int) (answer map[string]any) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.env["TRACKSTORE_URL"]+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.env["TRACKSTORE_TOKEN"])
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != want {
		s.t.Fatalf("%s %s: status %d, want %d: %s (%v)", method, path, resp.StatusCode, want, b, err)
	}
	if err := json.Unmarshal(b, &answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

// upload sends a file by one PUT or by a form, and waits until the event alone has settled it. It returns the track.
func (s *localStack) upload(method string, content []byte) (trackID string) {
	s.t.Helper()
	ticket := s.call("POST", "/v1/uploads", fmt.Sprintf(
		`{"title":"Nocturne","filename":"take 1.wav","content_type":"audio/wav","size":%d,"method":%q}`, len(content), method), http.StatusCreated)
	s.send(method, ticket[method].(map[string]any), content)
	path := "/v1/uploads/" + ticket["upload_id"].(string)
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		switch state := s.call("GET", path, "", http.StatusOK)["state"]; {
		case state == "stored":
			return ticket["track_id"].(string)
		case state != "pending" || time.Now().After(deadline):
			s.t.Fatalf("the upload by %s is %s", method, state)
		}
	}
}

func (s *localStack) send(method string, signed map[string]any, content []byte) {
	s.t.Helper()
	args := []string{"-sS", "--fail-with-body"}
	if method == "put" {
		args = append(args, "-X", "PUT", "--data-binary", "@-", "-H", "Expect:")
		for name, value := range signed["headers"].(map[string]any) {
			args = append(args, "-H", name+": "+value.(string))
		}
	} else {
		for name, value := range signed["fields"].(map[string]any) {
			args = append(args, "--form-string", name+"="+value.(string))
		}
		args = append(args, "-F", "file=@-")
	}
	cmd := exec.CommandContext(s.t.Context(), "curl", append(args, signed["url"].(string))...)
	cmd.Stdin = bytes.NewReader(content)
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("%s: %v: %s", method, err, out)
	}
}

// audio downloads a track as a listener does.
func (s *localStack) audio(trackID string) []byte {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), "GET", s.env["TRACKSTORE_URL"]+"/v1/tracks/"+trackID+"/audio", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+s.env["TRACKSTORE_TOKEN"])
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("audio: status %d: %v: %.300s", resp.StatusCode, err, b)
	}
	return b
}

// query asks the database of the env file for one text.
func (s *localStack) query(sql string, args ...any) (answer string) {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.env["DATABASE_URL"])
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(s.t.Context()))
	if err := conn.QueryRow(s.t.Context(), sql, args...).Scan(&answer); err != nil {
		s.t.Fatal(err)
	}
	return answer
}

func freePort(t testing.TB) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

const storedWhere = "SELECT storage_backend || ' ' || coalesce(storage_key, file_path) FROM tracks WHERE id = $1"

func TestDevStoresByTheEventAloneAndKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := audiotest.WAV(1, 7)
	s := start(t, dir)

	for _, name := range []string{
		"TRACKSTORE_URL", "TRACKSTORE_TOKEN", "JWT_SECRET", "DATABASE_URL", "AWS_ENDPOINT_URL_S3", "AWS_S3_ENDPOINT",
		"AWS_S3_PUBLIC_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_S3_BUCKET", "TRACK_LOCAL_DIR",
	} {
		if s.env[name] == "" {
			t.Errorf("the env file lacks %s", name)
		}
	}
	for _, name := range []string{"env", "sam-env.json", "chosen.json"} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v; want mode 0600", name, info, err)
		}
	}
	if n := s.query("SELECT count(*)::text FROM tracks WHERE storage_backend = 'local' AND status = 'ready'"); n != "3" {
		t.Errorf("%s tracks were seeded, want 3", n)
	}
	var tracks []string
	for _, method := range []string{"put", "post"} {
		id := s.upload(method, content)
		if where := s.query(storedWhere, id); !strings.HasPrefix(where, "s3 uploads/"+id+"/") {
			t.Errorf("by %s: the row says %q", method, where)
		}
		tracks = append(tracks, id)
	}
	secret, url := s.env["JWT_SECRET"], s.env["AWS_S3_ENDPOINT"]
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)

	s = start(t, dir)
	if s.env["JWT_SECRET"] != secret || s.env["AWS_S3_ENDPOINT"] != url {
		t.Error("secrets or addresses changed with a restart")
	}
	for _, id := range tracks {
		if !bytes.Equal(s.audio(id), content) {
			t.Error("the audio differs after a restart")
		}
	}
	if n := s.query("SELECT count(*)::text FROM tracks"); n != "5" {
		t.Errorf("%s tracks after a restart, want 5", n)
	}
	s.stop(s.cmd.Process.Pid, syscall.SIGINT)
}

func TestDevOnLocalDiskNeedsNoS3(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), `it's a "$HOME" of;music`, ".local")
	s := start(t, dir, "TRACK_STORAGE_BACKEND=local")
	if s.env["TRACK_LOCAL_DIR"] != filepath.Join(dir, "tracks") {
		t.Errorf("a shell reads TRACK_LOCAL_DIR as %q", s.env["TRACK_LOCAL_DIR"])
	}
	if _, err := os.Stat(filepath.Join(dir, "s3")); err == nil || s.env["AWS_S3_ENABLED"] != "false" {
		t.Error("there is an S3 server")
	}
	content := audiotest.WAV(1, 8)
	for _, method := range []string{"put", "post"} {
		id := s.upload(method, content)
		where := s.query(storedWhere, id)
		key, ok := strings.CutPrefix(where, "local ")
		stored, err := os.ReadFile(filepath.Join(dir, "tracks", key))
		if !ok || err != nil || !bytes.Equal(stored, content) {
			t.Errorf("by %s: the row says %q, and there: %v", method, where, err)
		}
		if !bytes.Equal(s.audio(id), content) {
			t.Errorf("by %s: the audio differs", method)
		}
	}
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

func TestDevIsStoppedWithItsGroupByMoreSignalsThanOne(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "TRACK_STORAGE_BACKEND=local")
	// As make does it: the group gets one, and make hands its own on.
	s.stop(-s.cmd.Process.Pid, syscall.SIGTERM, syscall.SIGTERM)
}

func TestDevGoesOnAfterItWasKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	content := audiotest.WAV(1, 9)
	s := start(t, dir)
	id := s.upload("put", content)
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-s.exited

	s = start(t, dir)
	if !bytes.Equal(s.audio(id), content) {
		t.Error("the audio differs after a crash")
	}
	s.upload("put", content)
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

func TestDevAnswersWithoutItsPostgres(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, "TRACK_STORAGE_BACKEND=local")
	s.call("GET", "/healthz", "", http.StatusOK)
	data, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	lock, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(lock), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	for len(processes(t, dir)) > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	s.call("GET", "/healthz", "", http.StatusServiceUnavailable)
	s.call("GET", "/v1/tracks/00000000-0000-7000-8000-000000000001", "", http.StatusServiceUnavailable)
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

func TestDevRefusesToRunTwice(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := start(t, dir, "TRACK_STORAGE_BACKEND=local")

	second := launch(t, dir)
	<-second.exited
	if second.err == nil || !strings.Contains(second.out.String(), fmt.Sprintf("a local stack (process %d) already runs on %s", s.cmd.Process.Pid, dir)) {
		t.Errorf("in the same folder: %v: %s", second.err, second.out)
	}
	port := strings.TrimPrefix(s.env["TRACKSTORE_URL"], "http://127.0.0.1:")
	other := t.TempDir()
	second = launch(t, other, "PORT="+port)
	<-second.exited
	if second.err == nil || !strings.Contains(second.out.String(), "choose another port with PORT") {
		t.Errorf("on the same port: %v: %s", second.err, second.out)
	}
	if left := processes(t, other); len(left) > 0 {
		t.Errorf("still running: %q", left)
	}
	s.call("GET", "/healthz", "", http.StatusOK) // the first one did not suffer
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}

func TestDevTakesTheServersThatItIsGiven(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	bucket := testenv.S3(t)
	database := testenv.EmptyPostgres(t)
	const secret = "a secret of the user's own, with ' and \" in it"
	s := start(t, dir,
		"DATABASE_URL="+database, "AWS_S3_ENDPOINT="+bucket.Endpoint, "AWS_REGION="+bucket.Region, "AWS_S3_BUCKET=made-by-the-stack-"+strings.ToLower(bucket.Name[len(bucket.Name)-8:]),
		"AWS_ACCESS_KEY_ID="+bucket.AccessKey, "AWS_SECRET_ACCESS_KEY="+bucket.SecretKey,
		"JWT_SECRET="+secret, "JWT_ISSUER=https://login.example.com", "JWT_AUDIENCE=trackstore")
	for _, name := range []string{"postgres", "s3"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			t.Errorf("the stack started a server of its own: %s", name)
		}
	}
	if s.env["DATABASE_URL"] != database || s.env["AWS_S3_ENDPOINT"] != bucket.Endpoint || s.env["JWT_SECRET"] != secret {
		t.Error("the env file does not name what was given")
	}
	// Nobody sends events of that server here: the sweep finds what they would have told.
	content := audiotest.WAV(1, 10)
	ticket := s.call("POST", "/v1/uploads", fmt.Sprintf(
		`{"title":"Nocturne","filename":"a.wav","content_type":"audio/wav","size":%d}`, len(content)), http.StatusCreated)
	s.send("put", ticket["put"].(map[string]any), content)
	var env []string
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	out, err := command(t, env, "sweep", "--json").CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte(`{"event":"summary",`)) {
		t.Errorf("sweep: %v: %s", err, out)
	}
	state := s.call("GET", "/v1/uploads/"+ticket["upload_id"].(string), "", http.StatusOK)["state"]
	if state != "stored" || !bytes.Equal(s.audio(ticket["track_id"].(string)), content) {
		t.Errorf("the upload is %v", state)
	}
	s.stop(s.cmd.Process.Pid, syscall.SIGTERM)
}
