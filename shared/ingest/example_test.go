package ingest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"log/slog"
	"os"

	"trackstore/internal/awsdefault"
	"trackstore/shared/config"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
)

// Settles the upload that an event of S3 tells of, as the function object-created does.
func ExampleIngester_Handle() {
	ctx := context.Background()
	cfg, err := config.Load[config.ObjectCreated](os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	p, err := places.Open(ctx, places.Config{Places: cfg.Places, Access: awsdefault.Load, Log: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	ingester := ingest.New(ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: slog.Default()})
	event := json.RawMessage(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"platform-tracks"},"object":{"key":"uploads/a/b.flac"}}}]}`)
	if _, err := ingester.Handle(ctx, event); err != nil {
		log.Fatal(err) // try it again: whatever was settled stays so
	}
	fmt.Println("settled")
}
