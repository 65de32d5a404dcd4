// Function sweep-uploads settles what events missed and clears away what was given up.
package main

import (
	"context"
	"log"
	"os"

	"github.com/aws/aws-lambda-go/lambda"

	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/diskstore"
	"trackstore/shared/function/deadline"
	"trackstore/shared/ingest"
	"trackstore/shared/metrics"
	"trackstore/shared/pgstore"
	"trackstore/shared/places/secrets"
	"trackstore/shared/s3store"
	"trackstore/shared/sweep"
)

func main() {
	ctx := context.Background()
	cfg := must(config.Load[config.SweepUploads](os.Getenv))
	logger, emit := cfg.Logger(os.Stderr), metrics.New(os.Stdout, os.Getenv("AWS_LAMBDA_FUNCTION_NAME"))
	store := must(pgstore.OpenSecret(ctx, secrets.Database(cfg.Database, awsaccess.OfFunction(os.Getenv)), 2))
	disk := must(diskstore.New(diskstore.Config{Root: cfg.Storage.LocalDir, Logger: logger}))
	backends := map[string]sweep.Backend{disk.Name(): disk}
	readers := map[string]ingest.Backend{disk.Name(): disk}
	if cfg.Storage.S3.Enabled {
		bucket := must(s3store.Open(ctx, cfg.Storage.S3, awsaccess.OfFunction(os.Getenv)))
		backends[bucket.Name()], readers[bucket.Name()] = bucket, bucket
	}
	lambda.Start(deadline.Ahead(sweep.New(sweep.Config{
		Store:     store,
		Confirm:   ingest.New(ingest.Config{Uploads: store, Backends: readers, Log: logger, Metrics: emit}),
		Backends:  backends,
		Paths:     disk,
		Grace:     cfg.Retention.Grace,
		UploadTTL: cfg.Retention.UploadTTL,
		Log:       logger,
		Metrics:   emit,
	}).Handle))
}

// must ends a function that cannot start.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatalln("sweep-uploads:", err)
	}
	return value
}
