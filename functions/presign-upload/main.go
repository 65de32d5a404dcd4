// Function presign-upload is the HTTP API behind API Gateway.
package main

import (
	"os"

	"trackstore/shared/auth"
	"trackstore/shared/config"
	"trackstore/shared/function"
	"trackstore/shared/function/lambdahttp"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/upload"
)

func main() { function.Start(os.Getenv, config.Load[config.PresignUpload], wire) }

func wire(cfg config.PresignUpload, p *places.Places, r function.Runtime) function.Handler {
	confirm := ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: r.Log, Metrics: r.Metrics}
	return function.Handle(lambdahttp.Handler(upload.New(upload.Config{
		Limits: upload.Limits(cfg.Uploads), Auth: auth.New(cfg.Auth), Store: p.Database, Confirm: ingest.New(confirm),
		NewFiles: cfg.Storage.Backend, Backends: places.Backends[upload.Backend](p), CDN: places.CDN[upload.GetSigner](cfg.CDN), Log: r.Log, Metrics: r.Metrics,
	})))
}
