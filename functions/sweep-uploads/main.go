// Function sweep-uploads settles what events missed and clears away what was given up.
package main

import (
	"os"

	"trackstore/shared/config"
	"trackstore/shared/events"
	"trackstore/shared/function"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/sweep"
)

func main() { function.Start(os.Getenv, config.Load[config.SweepUploads], wire) }

func wire(cfg config.SweepUploads, p *places.Places, r function.Runtime) function.Handler {
	confirm := ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: r.Log, Metrics: r.Metrics}
	sweeper := sweep.New(sweep.Config{
		Store: p.Database, Confirm: ingest.New(confirm), Backends: places.Backends[sweep.Backend](p), Paths: p.Disk,
		Elsewhere: places.Elsewhere[sweep.Backend](p.Bucket),
		Grace:     cfg.Retention.Grace, UploadTTL: cfg.Retention.UploadTTL, Log: r.Log, Metrics: r.Metrics,
	})
	deliver := events.Config{Store: p.Database, Receivers: events.Receivers(cfg.Events, r.Access), Log: r.Log, Metrics: r.Metrics}
	return function.Handle(events.After(sweeper.Handle, events.New(deliver)))
}
