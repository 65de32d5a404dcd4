package upload_test

import (
	"context"
	"log"
	"log/slog"
	"net/http"
	"os"

	"trackstore/internal/awsdefault"
	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/upload"
)

// Serves the API from a server of one's own, instead of a function.
func ExampleNew() {
	cfg, err := config.Load[config.PresignUpload](os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	p, err := places.Open(context.Background(), places.Config{Places: cfg.Places, Access: awsdefault.Load, Log: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	api := upload.New(upload.Config{
		Limits:   upload.Limits(cfg.Uploads),
		Auth:     auth.New(cfg.Auth),
		Store:    p.Database,
		Confirm:  ingest.New(ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: slog.Default()}),
		NewFiles: cfg.Storage.Backend,
		Backends: places.Backends[upload.Backend](p),
		Log:      slog.Default(),
	})
	log.Fatal(http.ListenAndServe("127.0.0.1:8080", api))
}
