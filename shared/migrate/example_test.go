package migrate_test

import (
	"context"
	"fmt"
	"log"
	"log/slog"
	"os"

	"trackstore/internal/awsdefault"
	"trackstore/shared/audio"
	"trackstore/shared/config"
	"trackstore/shared/migrate"
	"trackstore/shared/places"
)

// Moves all tracks that lie on disk to S3. Any number of processes may do so at once.
func ExampleRunner_Run() {
	ctx := context.Background()
	cfg, err := config.Load[config.Command](os.Getenv)
	if err != nil {
		log.Fatal(err)
	}
	p, err := places.Open(ctx, places.Config{Places: cfg.Places, Access: awsdefault.Load, Log: slog.Default()})
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	runner := migrate.Runner{
		Ledger:   p.Database,
		Mover:    migrate.NewUpload(migrate.Upload{Files: p.Disk, Bucket: p.Bucket, Large: p.Bucket, Sniff: audio.Detect}),
		Observer: printer{},
		Log:      slog.Default(),
	}
	summary, err := runner.Run(ctx, migrate.NewJob(cfg.Migration.Lease))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(summary.Migrated, "moved,", summary.Failed, "failed")
}

// printer tells of each track that was moved.
type printer struct{}

func (printer) Claimed(int)   {}
func (printer) Waiting(int64) {}
func (printer) Settled(s migrate.Settlement) {
	fmt.Println(s.TrackID, s.Verdict)
}
