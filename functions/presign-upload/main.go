// Function presign-upload is the HTTP API behind API Gateway.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/diskstore"
	"trackstore/shared/function/deadline"
	"trackstore/shared/function/lambdahttp"
	"trackstore/shared/ingest"
	"trackstore/shared/metrics"
	"trackstore/shared/pgstore"
	"trackstore/shared/places/secrets"
	"trackstore/shared/s3store"
	"trackstore/shared/upload"
)

func main() {
	ctx := context.Background()
	cfg := must(config.Load[config.PresignUpload](os.Getenv))
	logger, emit := cfg.Logger(os.Stderr), metrics.New(os.Stdout, os.Getenv("AWS_LAMBDA_FUNCTION_NAME"))
	store := must(pgstore.OpenSecret(ctx, secrets.Database(cfg.Database, awsaccess.OfFunction(os.Getenv)), 2)) // an instance has one request at a time
	disk := must(diskstore.New(diskstore.Config{
		Root: cfg.Storage.LocalDir, URL: cfg.DiskServer.URL, Secret: []byte(cfg.DiskServer.Secret.Reveal()), Logger: logger,
	}))
	backends := map[string]upload.Backend{disk.Name(): disk}
	readers := map[string]ingest.Backend{disk.Name(): disk}
	if cfg.Storage.S3.Enabled {
		bucket := must(s3store.Open(ctx, cfg.Storage.S3, awsaccess.OfFunction(os.Getenv)))
		backends[bucket.Name()], readers[bucket.Name()] = bucket, bucket
	}
	lambda.Start(deadline.Ahead(lambdahttp.Handler(upload.New(upload.Config{
		Limits:   upload.Limits(cfg.Uploads),
		Auth:     auth.New(cfg.Auth),
		Store:    store,
		Confirm:  ingest.New(ingest.Config{Uploads: store, Backends: readers, Log: logger, Metrics: emit}),
		NewFiles: cfg.Storage.Backend,
		Backends: backends,
		Log:      logger,
		Metrics:  emit,
	}))))
}

// must ends a function that cannot start.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatalln("presign-upload:", err)
	}
	return value
}
