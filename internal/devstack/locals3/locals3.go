// Package locals3 runs a private S3 server, versitygw, for the local stack and for tests.
package locals3

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"trackstore/internal/devstack/child"
	"trackstore/shared/diskstore"
	"trackstore/shared/s3event"
)

// Config says what to start.
type Config struct {
	// Dir keeps the buckets, the versions of their objects and the root key between runs. Its file system must have
	// extended attributes.
	Dir string
	// Addr is where clients reach the server; empty: a free port of 127.0.0.1.
	Addr string
	// Region is the region that clients sign for; empty: us-east-1.
	Region string
	// OnCreate, where it is set, is told of each object that was created, by an event as S3 sends it, from several
	// goroutines and before the client has its answer. Sizes after a copy and of multipart uploads are left at 0.
	OnCreate func(event []byte)
	// Log gets what the server writes, and how its first build goes. nil: nowhere.
	Log io.Writer
}

// Server is a running S3 server. It takes path-style requests only.
type Server struct {
	Endpoint string // http://host:port for clients; refuses bodies that are cut off, as S3 does
	// DirectEndpoint is versitygw itself, without the guard in front: it takes a body that is cut off for a whole one.
	// For measurements.
	DirectEndpoint string
	Region         string
	AccessKey      string
	SecretKey      string
	BucketsDir     string // holds a folder per bucket
	VersionsDir    string // holds a folder per bucket, with the versions that are not the latest

	gateway *child.Process
	guard   *guard
	front   *http.Server
}

// Start builds the server if it was never built (see Build), starts it and returns once it answers. It is stopped by
// Stop or, on Linux, by the end of the calling process, whatever ends it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s, err := start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start the S3 server in %s: %w", cfg.Dir, err)
	}
	return s, nil
}

func start(ctx context.Context, cfg Config) (_ *Server, err error) {
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Server{
		Region:      cmp.Or(cfg.Region, "us-east-1"),
		BucketsDir:  filepath.Join(dir, "buckets"),
		VersionsDir: filepath.Join(dir, "versions"),
	}
	spool := filepath.Join(dir, "spool")
	for _, d := range []string{s.BucketsDir, s.VersionsDir, spool} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
	}
	if s.AccessKey, s.SecretKey, err = rootKey(filepath.Join(dir, "root-key")); err != nil {
		return nil, err
	}
	binary, err := Build(ctx, cfg.Log)
	if err != nil {
		return nil, err
	}

	// The guard's address first: that one may be the caller's choice, and taken.
	listener, err := net.Listen("tcp", cmp.Or(cfg.Addr, "127.0.0.1:0"))
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = listener.Close() // the first error is the one that tells
		}
	}()
	for range 5 {
		if err = s.startGateway(ctx, binary, cfg); !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	s.Endpoint = "http://" + reachable(listener.Addr().(*net.TCPAddr))
	onCreate := func(event s3event.Created) {
		if cfg.OnCreate != nil {
			event.Region = s.Region
			cfg.OnCreate(event.JSON())
		}
	}
	s.guard = newGuard(strings.TrimPrefix(s.DirectEndpoint, "http://"), spool, credentials{s.AccessKey, s.SecretKey, s.Region}, onCreate, cfg.Log)
	s.front = &http.Server{Handler: diskstore.Impatient(s.guard, diskstore.StallTime), ReadHeaderTimeout: 10 * time.Second}
	go s.front.Serve(listener) //nolint:errcheck // ends with Stop
	return s, nil
}

// errPortTaken tells that somebody else took the port chosen for versitygw.
var errPortTaken = errors.New("port is taken")

// startGateway starts versitygw on a free port and waits until it answers.
func (s *Server) startGateway(ctx context.Context, binary string, cfg Config) error {
	port, err := child.FreePort()
	if err != nil {
		return err
	}
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	health := "/health-" + rand.Text() // nobody else's server answers to it
	args := []string{"--port", addr, "--region", s.Region, "--quiet", "--keep-alive", "--health", health}
	cmd := exec.Command(binary, append(args, "posix", "--versioning-dir", s.VersionsDir, s.BucketsDir)...)
	cmd.Env = []string{"ROOT_ACCESS_KEY=" + s.AccessKey, "ROOT_SECRET_KEY=" + s.SecretKey}
	if s.gateway, err = child.Start(cmd, syscall.SIGKILL, cfg.Log); err != nil {
		return err
	}
	s.DirectEndpoint = "http://" + addr

	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-s.gateway.Exited():
			err := s.gateway.Failure()
			if strings.Contains(err.Error(), "address already in use") {
				return fmt.Errorf("%w: %w", errPortTaken, err)
			}
			return err
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("not ready: %w", ctx.Err()), s.gateway.Stop(ctx, syscall.SIGTERM))
		case <-tick.C:
			if answers(ctx, s.DirectEndpoint+health) {
				return nil
			}
		}
	}
}

func answers(ctx context.Context, url string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// reachable is the address at which this machine reaches a listener, also one that listens everywhere.
func reachable(addr *net.TCPAddr) string {
	if addr.IP.IsUnspecified() {
		return net.JoinHostPort("127.0.0.1", strconv.Itoa(addr.Port))
	}
	return addr.String()
}

// Exited is closed when the server is gone, also when it was not asked to stop.
func (s *Server) Exited() <-chan struct{} { return s.gateway.Exited() }

// Stop lets requests finish and ends the server. When ctx is done before that, they are cut off and the server is
// killed; a body that is cut off then is not stored.
func (s *Server) Stop(ctx context.Context) error {
	err := s.front.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.front.Close())
	}
	s.guard.hangUp()
	return errors.Join(err, s.gateway.Stop(ctx, syscall.SIGTERM))
}

// rootKey reads the root key from the file at path, where the first start puts a new one.
func rootKey(path string) (access, secret string, err error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		b = []byte("trackstore " + rand.Text() + rand.Text() + "\n")
		err = os.WriteFile(path, b, 0o600)
	}
	if err != nil {
		return "", "", err
	}
	access, secret, ok := strings.Cut(strings.TrimSpace(string(b)), " ")
	if !ok {
		return "", "", fmt.Errorf("%s does not hold a root key; remove it to get a new one", path)
	}
	return access, secret, nil
}
