// Package localpg runs a private Postgres server: for the local stack, which keeps its data between runs, and for
// tests, which do not.
//
// It uses the newest server binaries that are installed, and fetches some where there are none. It works for root too:
// the server then runs as the user postgres or nobody.
package localpg

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/devstack/child"
)

// Config says what to start.
type Config struct {
	// DataDir holds the server's data and its superuser's password. It is created when it is absent or empty. Where
	// the user that the server runs as cannot get there, it becomes a symbolic link to a folder where it can.
	DataDir string
	// Port is the TCP port on 127.0.0.1; 0 picks a free one.
	Port int
	// Listen is an address to listen on besides 127.0.0.1, with the same port: that of a bridge to containers, or 0.0.0.0
	// for all. The password is asked for there too. Empty: none.
	Listen string
	// Durable makes committed transactions survive a crash of the machine. Without it only a crash of the server is
	// survived, and commits cost next to nothing: right for tests, wrong for anything that is kept.
	Durable bool
	// Copy makes a new data directory by copying one that is made once and kept in the user's cache, which takes a
	// tenth of the time. The superusers of all copies share a password. For tests.
	Copy bool
	// Log gets what the server writes. nil: nowhere.
	Log io.Writer
	// Progress gets what is done that takes long, for whoever waits. nil: Log does.
	Progress io.Writer
}

// Server is a running Postgres.
type Server struct {
	process  *child.Process
	dir      string
	port     int
	password string
}

const (
	superuser    = "trackstore"
	passwordFile = "trackstore-password" // in the data directory, readable for its owner alone
)

// errPortTaken tells that somebody else listens on the server's port.
var errPortTaken = errors.New("port is taken")

// Start starts a server and returns once it takes connections. A server that a crash left behind is recovered; one
// that still runs on the same data is an error. The server is stopped by Stop, or, on Linux, by the end of the calling
// process, whatever ends it.
func Start(ctx context.Context, cfg Config) (*Server, error) {
	s, err := start(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("start Postgres in %s: %w", cfg.DataDir, err)
	}
	return s, nil
}

func start(ctx context.Context, cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = io.Discard
	}
	if cfg.Progress == nil {
		cfg.Progress = cfg.Log
	}
	dataDir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, err
	}
	acct, err := accountFor(dataDir)
	if err != nil {
		return nil, err
	}
	dir, err := place(dataDir, acct)
	if err != nil {
		return nil, err
	}
	major, err := clusterVersion(dir)
	if err != nil {
		return nil, err
	}
	bin, err := findBinaries(ctx, major, cfg.Progress)
	if err != nil {
		return nil, err
	}
	c := cluster{bin: bin, acct: acct, durable: cfg.Durable, listen: cfg.Listen}
	if major == 0 {
		fill := c.initdb
		if cfg.Copy {
			fill = c.copyTemplate
		}
		if err := create(ctx, dir, fill); err != nil {
			return nil, err
		}
	}
	password, err := os.ReadFile(filepath.Join(dir, passwordFile))
	if err != nil {
		return nil, err
	}
	if err := clearStalePID(ctx, dir); err != nil {
		return nil, err
	}
	if err := allow(dir); err != nil {
		return nil, err
	}

	s := &Server{dir: dir, password: strings.TrimSpace(string(password))}
	for range 5 {
		if s.port = cfg.Port; s.port == 0 {
			if s.port, err = child.FreePort(); err != nil {
				return nil, err
			}
		}
		err = s.run(ctx, c, cfg.Log)
		if cfg.Port != 0 || !errors.Is(err, errPortTaken) {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// run starts the server process and waits until it is ready.
func (s *Server) run(ctx context.Context, c cluster, log io.Writer) error {
	process, err := child.Start(c.server(s.dir, s.port), syscall.SIGINT, log)
	if err != nil {
		return err
	}
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-process.Exited():
			err := process.Failure()
			if strings.Contains(err.Error(), "could not bind") {
				return fmt.Errorf("127.0.0.1:%d: %w: %w", s.port, errPortTaken, err)
			}
			return err
		case <-ctx.Done():
			stopped, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return errors.Join(fmt.Errorf("not ready: %w", ctx.Err()), process.Stop(stopped, syscall.SIGINT))
		case <-tick.C:
			if lock, err := readPIDFile(s.dir); err == nil && lock.pid == process.PID() && lock.ready {
				s.process = process
				return nil
			}
		}
	}
}

// URL is a connection URL of one database, which psql and pgx take. It holds the superuser's password.
func (s *Server) URL(database string) string {
	u := url.URL{
		Scheme:   "postgres",
		User:     url.UserPassword(superuser, s.password),
		Host:     net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)),
		Path:     "/" + database,
		RawQuery: "sslmode=disable",
	}
	return u.String()
}

// CreateDatabase creates an empty database, unless there is one of that name.
func (s *Server) CreateDatabase(ctx context.Context, name string) error {
	conn, err := pgx.Connect(ctx, s.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	var exists bool
	if err := conn.QueryRow(ctx, "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name).Scan(&exists); err != nil || exists {
		return err
	}
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize())
	return err
}

// DataDir is the folder where the data really lies.
func (s *Server) DataDir() string { return s.dir }

// Exited is closed when the server is gone, also when it was not asked to stop.
func (s *Server) Exited() <-chan struct{} { return s.process.Exited() }

// Stop breaks off open transactions and connections, writes everything out and ends the server. When ctx is done
// before that, the server is killed: its next start then recovers what was committed.
func (s *Server) Stop(ctx context.Context) error {
	return s.process.Stop(ctx, syscall.SIGINT)
}

// clusterVersion is the major version of the data in dir, 0 where there are none.
func clusterVersion(dir string) (int, error) {
	b, err := os.ReadFile(filepath.Join(dir, "PG_VERSION"))
	if err == nil {
		return strconv.Atoi(string(bytes.TrimSpace(b)))
	}
	entries, readErr := os.ReadDir(dir)
	if errors.Is(readErr, os.ErrNotExist) || readErr == nil && len(entries) == 0 {
		return 0, nil
	}
	if readErr != nil {
		return 0, readErr
	}
	return 0, fmt.Errorf("%s is neither empty nor a data directory of Postgres: %w", dir, err)
}

// newPassword makes a superuser's password; nothing in it needs quoting.
func newPassword() string { return rand.Text() }
