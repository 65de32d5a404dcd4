// Function deliver-events takes out what became of tracks, to a bus and to a webhook.
package main

import (
	"os"

	"trackstore/shared/config"
	"trackstore/shared/events"
	"trackstore/shared/function"
	"trackstore/shared/places"
)

func main() { function.Start(os.Getenv, config.Load[config.DeliverEvents], wire) }

func wire(cfg config.DeliverEvents, p *places.Places, r function.Runtime) function.Handler {
	return function.Handle(events.New(events.Config{
		Store: p.Database, Receivers: events.Receivers(cfg.Events, r.Access), Log: r.Log, Metrics: r.Metrics,
	}).Handle)
}
