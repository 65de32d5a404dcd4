// Package devstack is the local stack: everything that trackstore needs, in one process tree, without a cloud.
//
// The handlers that run in it are those of the functions, configured by the same variables. What stands in for the
// rest is thin: a Postgres and an S3 server (packages localpg and locals3), a queue in memory for SQS, a ticker for the
// scheduler, and net/http for API Gateway.
package devstack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"trackstore/internal/devstack/localpg"
	"trackstore/internal/devstack/locals3"
	"trackstore/shared/config"
)

// Options are what a stack is started with.
type Options struct {
	Getenv func(string) string
	Stdout io.Writer // what is done, for the person who waits
	Stderr io.Writer // the handlers' logs: a JSON object a line
	// Containers lets containers reach Postgres and S3: these then listen on every interface, and sam-env.json names
	// this machine as containers know it. The API, which hands out the demo user's token, stays where it is.
	Containers bool
	CDN        bool // tracks on S3 are played by a stand-in of a CDN
}

// patience is how long each of them may take to stop: all handlers together, the pools of connections, the S3 server, and
// Postgres. Most often that is a moment, and never more than 20 s.
const patience = 4 * time.Second

// stack is what runs, and what has to be ended for it.
type stack struct {
	Options
	state    *stateDir
	env      *environment
	plan     plan
	settings settings
	url      string // of the API and the console
	logger   *slog.Logger

	postgres *localpg.Server // nil: not the stack's own
	s3       *locals3.Server // nil: not the stack's own, or none

	cdn *distribution // nil: there is none

	queue *queue

	ended       chan error // gets the error of a server that ends by itself, and the stack with it
	stopping    atomic.Bool
	handlers    []part
	foundations []part // in the order of starting
}

// part is something that runs.
type part struct {
	name string
	stop func(context.Context) error
}

// Run starts the stack, and stops it when ctx is done, which is no error, or when a server of it ends by itself;
// Postgres apart, without which the API still answers.
func Run(ctx context.Context, o Options) error {
	s := &stack{Options: o, ended: make(chan error, 8)}
	err := s.start(ctx)
	if err == nil {
		select {
		case <-ctx.Done():
			s.say("stopping")
		case err = <-s.ended:
		}
	}
	stopErr := s.stop()
	if ctx.Err() != nil { // told to stop, be it while it started
		if stopErr != nil {
			s.say("%v", stopErr) // it is stopped all the same
		}
		return nil
	}
	return errors.Join(err, stopErr)
}

// start starts everything in order: what can fail for a reason that the user can mend comes first.
func (s *stack) start(ctx context.Context) error {
	cfg, err := config.Load[config.Dev](s.Getenv)
	if err != nil {
		return s.allProblems(err)
	}
	if err := s.open(cfg); err != nil {
		return err
	}
	s.url = apiURL(cfg.Port)
	listener, err := s.listen(cfg.Port)
	if err != nil {
		return err
	}
	if err := s.startServers(ctx); err != nil {
		return err
	}
	if err := s.openCDN(); err != nil {
		return err
	}
	stores, err := s.openStores(ctx)
	if err != nil {
		return err
	}
	if err := s.seed(ctx, stores); err != nil {
		return err
	}
	if err := s.serve(listener, stores, cfg.Port); err != nil {
		return err
	}
	return s.announce()
}

// open takes hold of the state, and settles the configuration.
func (s *stack) open(cfg config.Dev) (err error) {
	if s.state, err = openState(cfg.Dir); err != nil {
		return err
	}
	s.foundations = append(s.foundations, part{"holding the state", func(context.Context) error { return s.state.close() }})
	// Of a run that was killed: nobody may take it for one that runs.
	if err := s.state.remove(envFile, samEnvFile); err != nil {
		return err
	}
	last, err := s.state.lastChosen()
	if err != nil {
		return err
	}
	s.env = newEnvironment(s.Getenv, last)
	if s.plan, err = s.env.plan(s.state.path, cfg.Port); err != nil {
		return err
	}
	if s.settings, err = s.env.settings(); err != nil {
		return err
	}
	s.logger = s.settings.api.Logger(s.Stderr)
	return nil
}

// allProblems adds to a problem of the stack's own variables those of all others.
func (s *stack) allProblems(problem error) error {
	env := newEnvironment(s.Getenv, nil)
	if _, err := env.plan("", 0); err != nil {
		return problem
	}
	_, err := env.settings()
	return merge(problem, err)
}

// listen takes the port of the API.
func (s *stack) listen(port int) (net.Listener, error) {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return nil, fmt.Errorf("%w: choose another port with PORT", err)
	}
	s.foundations = append(s.foundations, part{"listening", func(context.Context) error {
		if err := l.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the HTTP server closed it
	}})
	return l, nil
}

// goServe serves until the stack stops, which lets requests finish.
func (s *stack) goServe(name string, l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
	}
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			s.ended <- fmt.Errorf("%s: %w", name, err)
		}
	}()
	s.handlers = append(s.handlers, part{name, func(ctx context.Context) error {
		if err := server.Shutdown(ctx); err != nil {
			return server.Close() // an upload that is cut off is not stored
		}
		return nil
	}})
}

// goRun runs a loop until the stack stops.
func (s *stack) goRun(name string, loop func(context.Context)) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		loop(ctx)
	}()
	s.handlers = append(s.handlers, part{name, func(ctx context.Context) error {
		cancel()
		return wait(ctx, done)
	}})
}

// wait waits until done is closed.
func wait(ctx context.Context, done <-chan struct{}) error {
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// stop ends everything that was started: the handlers all at once, then what they stand on, the last first.
func (s *stack) stop() error {
	s.stopping.Store(true)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	errs := make([]error, len(s.handlers))
	var stopping sync.WaitGroup
	for i, p := range s.handlers {
		stopping.Go(func() { errs[i] = p.end(ctx) })
	}
	stopping.Wait()
	for _, p := range slices.Backward(s.foundations) {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		errs = append(errs, p.end(ctx))
		cancel()
	}
	return errors.Join(errs...)
}

func (p part) end(ctx context.Context) error {
	if err := p.stop(ctx); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	return nil
}

func (s *stack) say(format string, args ...any) {
	fmt.Fprintf(s.Stdout, format+"\n", args...)
}
