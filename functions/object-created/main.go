// Function object-created takes S3's events and settles the uploads that they tell of.
package main

import (
	"os"

	"trackstore/shared/config"
	"trackstore/shared/events"
	"trackstore/shared/function"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
)

func main() { function.Start(os.Getenv, config.Load[config.ObjectCreated], wire) }

func wire(cfg config.ObjectCreated, p *places.Places, r function.Runtime) function.Handler {
	confirm := ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: r.Log, Metrics: r.Metrics}
	deliver := events.Config{Store: p.Database, Receivers: events.Receivers(cfg.Events, r.Access), Log: r.Log, Metrics: r.Metrics}
	return function.Handle(events.After(ingest.New(confirm).Handle, events.New(deliver)))
}
