package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"trackstore/internal/awsdefault"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/track"
	api "trackstore/shared/upload"
)

// receiverSecret signs tokens and URLs of a receiver.
const receiverSecret = "a secret of 32 bytes, for tests only"

// receive is a whole upload to a storage backend in one process: the API and the disk's server, as the local stack has them,
// the disk's event, and `trackstore upload`, which sends a file there and waits until it is stored. It returns that command's
// exit code.
func receive(ctx context.Context, backend, file string, getenv func(string) string, stderr io.Writer) int {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return report(stderr, err)
	}
	at := "http://" + l.Addr().String()
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: track.ID{15: 1}.String(), ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour)),
	}).SignedString([]byte(receiverSecret))
	if err != nil {
		return report(stderr, err)
	}
	env := func(name string) string {
		switch name {
		case "TRACK_STORAGE_BACKEND":
			return backend
		case "TRACK_LOCAL_URL":
			return at + "/disk"
		case "TRACK_LOCAL_SECRET", "JWT_SECRET":
			return receiverSecret
		case "TRACKSTORE_URL":
			return at
		case "TRACKSTORE_TOKEN":
			return token
		}
		return getenv(name)
	}
	handler, err := receiver(ctx, env, stderr)
	if err != nil {
		return report(stderr, err)
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: time.Minute}
	defer server.Close()
	go func() { _ = server.Serve(l) }()
	return run(ctx, []string{"upload", "--give-up", "20s", file}, env, stderr, stderr)
}

// receiver is the server of it.
func receiver(ctx context.Context, getenv func(string) string, stderr io.Writer) (http.Handler, error) {
	cfg, err := config.Load[config.PresignUpload](getenv)
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	var ingester *ingest.Ingester
	p, err := places.Open(ctx, places.Config{
		Places: cfg.Places, Connections: 4, Access: awsdefault.Load, Log: log,
		OnCreate: func(ctx context.Context, event []byte) error {
			_, err := ingester.Handle(ctx, event)
			return err
		},
	})
	if err != nil {
		return nil, err
	}
	ingester = ingest.New(ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: log})
	handler := api.New(api.Config{
		Limits: api.Limits(cfg.Uploads), Auth: auth.New(cfg.Auth), Store: p.Database, Confirm: ingester,
		NewFiles: cfg.Storage.Backend, Backends: places.Backends[api.Backend](p), Log: log,
	})
	disk := p.Disk.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/disk/") {
			disk.ServeHTTP(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}), nil
}
