// Command tusd is the peer of bench/load: tusd over its S3 store, in the bucket load-tusd of the S3
// server that the environment names. It prints its URL, and ends when standard input does.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/tus/tusd/v2/pkg/handler"
	"github.com/tus/tusd/v2/pkg/memorylocker"
	"github.com/tus/tusd/v2/pkg/s3store"
	"golang.org/x/exp/slog"
)

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "tusd:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	bucket := "load-tusd"
	// Better than its command sets it up: connections are kept, and payloads not hashed for signatures.
	pool := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.MaxIdleConns, t.MaxIdleConnsPerHost = 256, 256 })
	cfg, err := config.LoadDefaultConfig(ctx, config.WithHTTPClient(pool))
	if err != nil {
		return err
	}
	client := s3.NewFromConfig(cfg, func(o *s3.Options) { o.UsePathStyle = true })
	_, err = client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &bucket})
	if err != nil && !errors.As(err, new(*types.BucketAlreadyOwnedByYou)) {
		return err
	}
	store := s3store.New(bucket, client)
	store.DisableContentHashes = true

	parts := handler.NewStoreComposer()
	store.UseIn(parts)
	memorylocker.New().UseIn(parts)
	tus, err := handler.NewHandler(handler.Config{
		BasePath: "/files/", StoreComposer: parts, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	fmt.Printf("http://%s/files/\n", listener.Addr())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	return http.Serve(listener, http.StripPrefix("/files/", tus))
}
