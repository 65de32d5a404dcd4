package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"

	"trackstore/shared/config"
	"trackstore/shared/ingest"
	"trackstore/shared/places"
	"trackstore/shared/sweep"
)

type sweepCmd struct {
	DryRun bool `help:"Only show what would be done."`
	JSON   bool `name:"json" help:"Write a JSON object a line: each action, and last the counts."`
}

// Help is shown by --help.
func (sweepCmd) Help() string {
	return "Confirms uploads whose event was lost, expires those that nothing came for, and removes bytes that nothing has named for " +
		"STORAGE_GRACE. The function sweep-uploads does the same on a schedule; both may run at once.\n\n" +
		"Exit codes: 0 done; 1 something could not be done, and the next sweep tries it again."
}

// Run sweeps once.
func (cmd *sweepCmd) Run(ctx context.Context, c *console) error {
	c.meant.LookOnly = cmd.DryRun
	sweeper, err := openSweeper(ctx, c)
	if err != nil {
		return err
	}
	out := json.NewEncoder(c.stdout)
	counts, err := sweeper.Run(ctx, sweep.Options{DryRun: cmd.DryRun, Report: func(a sweep.Action) {
		if cmd.JSON {
			_ = out.Encode(struct {
				Event string `json:"event"`
				sweep.Action
			}{"action", a})
			return
		}
		fmt.Fprintf(c.stdout, "%s %s %s %s\n", a.Do, a.Backend, a.Key, a.Why)
	}})
	if cmd.JSON {
		_ = out.Encode(struct {
			Event string `json:"event"`
			sweep.Counts
		}{"summary", counts})
		return err
	}
	would := ""
	if cmd.DryRun {
		would = "would be "
	}
	fmt.Fprintf(c.stdout, "uploads: %[1]s%d stored, %d refused, %d aborted, %d expired; %d multipart uploads given up\n",
		would, counts.Stored, counts.Refused, counts.Aborted, counts.Expired, counts.Multiparts)
	fmt.Fprintf(c.stdout, "bytes: %s%d removed, %d kept because something names them; %d deleted tracks became due; %d failures\n",
		would, counts.Removed, counts.Kept, counts.Deleted, counts.Failures)
	if counts.Abandoned > 0 {
		fmt.Fprintf(c.stdout, "tracks: %d that never got a file are marked as deleted\n", counts.Abandoned)
	}
	return err
}

func openSweeper(ctx context.Context, c *console) (*sweep.Sweeper, error) {
	cfg, err := config.Load[config.SweepUploads](c.getenv)
	if err != nil {
		return nil, withHint(err, envHint)
	}
	cfg.LogLevel = max(cfg.LogLevel, slog.LevelWarn) // what is done is on standard output already
	logger := cfg.Logger(c.stderr)
	p, err := c.openPlaces(ctx, places.Config{Places: cfg.Places, Connections: 4, Log: logger})
	if err != nil {
		return nil, err
	}
	confirm := ingest.New(ingest.Config{Uploads: p.Database, Backends: places.Backends[ingest.Backend](p), Log: logger})
	return sweep.New(sweep.Config{
		Store: p.Database, Confirm: confirm, Backends: places.Backends[sweep.Backend](p), Paths: p.Disk,
		Elsewhere: places.Elsewhere[sweep.Backend](p.Bucket),
		Grace:     cfg.Retention.Grace, UploadTTL: cfg.Retention.UploadTTL, Log: logger,
	}), nil
}
