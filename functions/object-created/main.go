// Function object-created takes S3's events and settles the uploads that they tell of.
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
)

func main() {
	ctx := context.Background()
	cfg := must(config.Load[config.ObjectCreated](os.Getenv))
	logger := cfg.Logger(os.Stderr)
	store := must(pgstore.OpenSecret(ctx, secrets.Database(cfg.Database, awsaccess.OfFunction(os.Getenv)), 2)) // an instance has one batch at a time
	disk := must(diskstore.New(diskstore.Config{Root: cfg.Storage.LocalDir, Logger: logger}))
	backends := map[string]ingest.Backend{disk.Name(): disk}
	if cfg.Storage.S3.Enabled {
		bucket := must(s3store.Open(ctx, cfg.Storage.S3, awsaccess.OfFunction(os.Getenv)))
		backends[bucket.Name()] = bucket
	}
	ingester := ingest.New(ingest.Config{
		Uploads: store, Backends: backends, Log: logger, Metrics: metrics.New(os.Stdout, os.Getenv("AWS_LAMBDA_FUNCTION_NAME")),
	})
	lambda.Start(deadline.Ahead(ingester.Handle))
}

// must ends a function that cannot start.
func must[T any](value T, err error) T {
	if err != nil {
		log.Fatalln("object-created:", err)
	}
	return value
}
