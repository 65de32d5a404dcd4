// Command hls is a platform's service that hears from trackstore what becomes of tracks, and
// keeps an HLS rendition of each that plays. README.md says how it is run.
package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"trackstore/shared/client"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Getenv, slog.New(slog.NewJSONHandler(os.Stderr, nil))); err != nil {
		fmt.Fprintln(os.Stderr, "hls:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and leaves what it has not come to in the inbox.
func run(ctx context.Context, getenv func(string) string, log *slog.Logger) error {
	var missing []string
	need := func(name string) string {
		if getenv(name) == "" {
			missing = append(missing, name)
		}
		return getenv(name)
	}
	address, inboxDir, secret := need("HLS_ADDRESS"), need("HLS_INBOX"), need("EVENTS_WEBHOOK_SECRET")
	api := client.New(need("TRACKSTORE_URL"), need("TRACKSTORE_TOKEN"), client.Options{GiveUp: 10 * time.Second})
	if len(missing) > 0 {
		return fmt.Errorf("not set: %s", strings.Join(missing, ", "))
	}
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("EVENTS_WEBHOOK_SECRET: %w", err)
	}
	if err := os.MkdirAll(inboxDir, 0o700); err != nil {
		return err
	}
	place, err := open(ctx, getenv)
	if err != nil {
		return err
	}
	in := &inbox{dir: inboxDir, verifier: verifier, come: make(chan struct{}, 1)}
	mux := http.NewServeMux()
	mux.Handle("POST /events", in)
	mux.Handle("GET /hls/", player{place})

	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: mux, ReadTimeout: 10 * time.Second}
	var worker sync.WaitGroup
	worker.Go(func() { (&renditions{place, api, log}).run(ctx, in) })
	go func() {
		<-ctx.Done()
		_ = server.Close()
	}()
	log.InfoContext(ctx, "listening", "address", listener.Addr().String())
	err = server.Serve(listener)
	worker.Wait()
	if errors.Is(err, http.ErrServerClosed) {
		err = nil
	}
	return err
}

// open opens the folder HLS_DIR, or the bucket AWS_S3_BUCKET where that is not set.
func open(ctx context.Context, getenv func(string) string) (store, error) {
	if dir := getenv("HLS_DIR"); dir != "" {
		return disk{dir}, nil
	}
	if getenv("AWS_S3_BUCKET") == "" {
		return nil, errors.New("neither HLS_DIR nor AWS_S3_BUCKET is set")
	}
	cfg, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, err
	}
	service := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = getenv("AWS_S3_FORCE_PATH_STYLE") == "true" })
	return bucket{service, getenv("AWS_S3_BUCKET")}, nil
}

// player serves renditions. A platform looks here whether the listener may hear the track, or
// lets a CDN serve the folder.
type player struct{ store store }

func (p player) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.URL.Path, "/")
	if !fs.ValidPath(name) {
		http.NotFound(w, r)
		return
	}
	content, err := p.store.Get(r.Context(), name)
	if err != nil {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", *contentType(name))
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(content)
}
