// Function migrate-batch moves a batch of tracks from disk to S3, or back.
package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/aws/aws-lambda-go/lambda"

	"trackstore/shared/audio"
	"trackstore/shared/config"
	"trackstore/shared/config/awsaccess"
	"trackstore/shared/diskstore"
	"trackstore/shared/function/deadline"
	"trackstore/shared/metrics"
	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/places/secrets"
	"trackstore/shared/s3store"
)

func main() {
	debug.SetMemoryLimit(migrate.MemoryLimit)
	batch, err := open(context.Background())
	if err != nil {
		fmt.Fprintln(os.Stderr, "migrate-batch:", err)
		os.Exit(1)
	}
	emit := metrics.New(os.Stdout, os.Getenv("AWS_LAMBDA_FUNCTION_NAME"))
	lambda.Start(deadline.Ahead(func(ctx context.Context, in migrate.Input) (migrate.Summary, error) {
		summary, err := batch.Handle(ctx, in)
		emit.Emit(
			metrics.Count("TracksMigrated", summary.Migrated), metrics.Bytes("BytesMigrated", summary.Bytes),
			metrics.Count("TracksMissing", summary.Missing), metrics.Count("TracksFailed", summary.Failed),
		)
		return summary, err
	}))
}

func open(ctx context.Context) (*migrate.Batch, error) {
	cfg, err := config.Load[config.MigrateBatch](os.Getenv)
	if err != nil {
		return nil, err
	}
	ledger, err := pgstore.OpenSecret(ctx, secrets.Database(cfg.Database, awsaccess.OfFunction(os.Getenv)), 4)
	if err != nil {
		return nil, err
	}
	bucket, err := s3store.Open(ctx, cfg.Storage.S3, awsaccess.OfFunction(os.Getenv))
	if err != nil {
		return nil, err
	}
	log := cfg.Logger(os.Stderr)
	disk, err := diskstore.New(diskstore.Config{Root: cfg.Storage.LocalDir, Logger: log})
	if err != nil {
		return nil, err
	}
	return &migrate.Batch{
		Ledger:  ledger,
		Upload:  migrate.NewUpload(migrate.Upload{Files: disk, Bucket: bucket, Large: bucket, Sniff: audio.Detect}),
		Restore: migrate.NewRestore(migrate.Restore{Disk: disk, Bucket: bucket}),
		Lease:   cfg.Migration.Lease,
		Log:     log,
	}, nil
}
