// Function migrate-batch moves a batch of tracks from disk to S3, or back.
package main

import (
	"os"
	"runtime/debug"

	"trackstore/shared/audio"
	"trackstore/shared/config"
	"trackstore/shared/function"
	"trackstore/shared/migrate"
	"trackstore/shared/places"
)

func main() { function.Start(os.Getenv, config.Load[config.MigrateBatch], wire) }

func wire(cfg config.MigrateBatch, p *places.Places, r function.Runtime) function.Handler {
	debug.SetMemoryLimit(migrate.MemoryLimit)
	p.Database.TellsMoves = cfg.TellsMoves
	elsewhere := places.Elsewhere[migrate.Bucket](p.Bucket)
	return function.Handle((&migrate.Batch{
		Ledger: p.Database, Lease: cfg.Migration.Lease, Log: r.Log, Metrics: r.Metrics,
		Upload:  migrate.NewUpload(migrate.Upload{Files: p.Disk, Bucket: p.Bucket, Large: p.Bucket, Elsewhere: elsewhere, Sniff: audio.Detect}),
		Restore: migrate.NewRestore(migrate.Restore{Disk: p.Disk, Bucket: p.Bucket, Elsewhere: elsewhere}),
	}).Handle)
}
