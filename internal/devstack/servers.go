package devstack

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"trackstore/internal/devstack/localpg"
	"trackstore/internal/devstack/locals3"
)

// startServers starts the servers that the stack has of its own, both at once, and fills in where they are.
func (s *stack) startServers(ctx context.Context) error {
	logs := s.state.join("logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		return err
	}
	s.queue = newQueue(s.bury, s.logger)
	var group errgroup.Group
	if s.plan.postgres {
		group.Go(func() (err error) {
			if s.postgres, err = s.startPostgres(ctx, filepath.Join(logs, "postgres.log")); err != nil {
				return err
			}
			return s.postgres.CreateDatabase(ctx, demoDatabase)
		})
	}
	if s.plan.s3 {
		group.Go(func() (err error) {
			s.s3, err = s.startS3(ctx, filepath.Join(logs, "s3.log"))
			return err
		})
	}
	err := group.Wait()
	// What did start must be stopped, also where the other one failed.
	if s.postgres != nil {
		s.foundations = append(s.foundations, part{"Postgres", s.postgres.Stop})
		s.reportEnd(s.postgres.Exited(), logs)
		s.env.choose("DATABASE_URL", s.postgres.URL(demoDatabase))
	}
	if s.s3 != nil {
		s.foundations = append(s.foundations, part{"the S3 server", s.s3.Stop})
		s.endWithS3(s.s3.Exited(), logs)
		s.env.choose("AWS_S3_ENDPOINT", s.s3.Endpoint)
		s.env.choose("AWS_S3_PUBLIC_ENDPOINT", s.s3.Endpoint)
		// Keys that the user has for another server do not open this one.
		s.env.fixed["AWS_ACCESS_KEY_ID"], s.env.fixed["AWS_SECRET_ACCESS_KEY"] = s.s3.AccessKey, s.s3.SecretKey
	}
	return err
}

func (s *stack) startPostgres(ctx context.Context, logPath string) (*localpg.Server, error) {
	log, err := os.Create(logPath) // open until the end of the process
	if err != nil {
		return nil, err
	}
	return onKeptPort(portOf(s.env.get("DATABASE_URL")), func(port int) (*localpg.Server, error) {
		return localpg.Start(ctx, localpg.Config{
			DataDir:  s.state.join("postgres"),
			Port:     port,
			Durable:  true,
			Log:      log,
			Progress: s.Stdout,
			Listen:   s.everywhere(),
		})
	})
}

func (s *stack) startS3(ctx context.Context, logPath string) (*locals3.Server, error) {
	if _, err := locals3.Build(ctx, s.Stdout); err != nil {
		return nil, err
	}
	log, err := os.Create(logPath) // open until the end of the process
	if err != nil {
		return nil, err
	}
	return onKeptPort(portOf(s.env.get("AWS_S3_ENDPOINT")), func(port int) (*locals3.Server, error) {
		return locals3.Start(ctx, locals3.Config{
			Dir:      s.state.join("s3"),
			Addr:     fmt.Sprintf("%s:%d", cmp.Or(s.everywhere(), "127.0.0.1"), port),
			Region:   s.settings.api.Storage.S3.Region,
			OnCreate: func(event []byte) { s.queue.send(string(event)) },
			Log:      log,
		})
	})
}

// everywhere is the address that containers reach servers at, or nothing.
func (s *stack) everywhere() string {
	if s.Containers {
		return "0.0.0.0"
	}
	return ""
}

// onKeptPort starts a server on a port, or where somebody else has that one by now, on any that is free.
func onKeptPort[S any](port int, start func(port int) (S, error)) (S, error) {
	server, err := start(port)
	if err != nil && port != 0 && isTaken(port) {
		return start(0)
	}
	return server, err
}

func isTaken(port int) bool {
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		return true
	}
	l.Close()
	return false
}

// reportEnd says that Postgres ended. The API goes on, and answers 503 as it does in a deployment whose database is down.
func (s *stack) reportEnd(exited <-chan struct{}, logs string) {
	go func() {
		<-exited
		if !s.stopping.Load() {
			s.logger.Error("Postgres ended: stop the stack and start it again", "logs", logs)
		}
	}()
}

// endWithS3 ends the stack when the S3 server ends that nobody asked to.
func (s *stack) endWithS3(exited <-chan struct{}, logs string) {
	go func() {
		<-exited
		s.ended <- errors.New("the S3 server ended; its log is in " + logs)
	}()
}
