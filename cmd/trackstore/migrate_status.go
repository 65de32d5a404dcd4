package main

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/dustin/go-humanize"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

type migrateStatusCmd struct {
	Watch bool `help:"Show it again every two seconds."`
	JSON  bool `name:"json" help:"Write a JSON object a line."`
}

// status is a line of --json.
type status struct {
	track.Progress
	Failures []track.MigrationFailure `json:"failures"`
}

// Run shows the status.
func (cmd *migrateStatusCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	for {
		if err := cmd.show(ctx, m); err != nil {
			if ctx.Err() != nil && cmd.Watch {
				return nil
			}
			return finished(ctx, false, err)
		}
		if !cmd.Watch {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil // the way to end it
		case <-time.After(2 * time.Second):
		}
	}
}

func (cmd *migrateStatusCmd) show(ctx context.Context, m *migration) (err error) {
	s := status{Failures: []track.MigrationFailure{}}
	if s.Progress, err = m.ledger.Progress(ctx); err != nil {
		return err
	}
	failures, err := m.failures(ctx, "", track.Selection{})
	if err != nil {
		return err
	}
	s.Failures = append(s.Failures, failures...)
	if cmd.JSON {
		writeJSON(m.stdout, s)
		return nil
	}
	if cmd.Watch {
		fmt.Fprintf(m.stdout, "%s  ", time.Now().Format(time.TimeOnly))
	}
	m.say("%s on local disk, %s on S3, %s leased", humanize.Comma(s.Local), humanize.Comma(s.S3), humanize.Comma(s.Leased))
	for _, state := range slices.Sorted(maps.Keys(s.States)) {
		m.say("  %-12s %s", state, humanize.Comma(s.States[state]))
	}
	most := len(s.Failures)
	if cmd.Watch {
		most = min(most, 20) // it comes again in two seconds
	}
	printFailures(m.stdout, s.Failures, most)
	return nil
}

type migratePlanCmd struct {
	JSON bool `name:"json" help:"Write a JSON object."`
}

// Run shows the plan.
func (cmd *migratePlanCmd) Run(ctx context.Context, c *console) error {
	c.meant.LookOnly = true
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	if db, err := databaseOf(ctx, m.cfg.Database); err == nil { // else the plan itself says so
		c.doubt(ctx, db)
	}
	now, err := m.ledger.Progress(ctx)
	if err != nil {
		return finished(ctx, false, err)
	}
	look := m.look(now.Local)
	e, err := migrate.Plan(ctx, countedLedger{m.ledger, look}, m.disk, m.bucket)
	look.stop()
	if err != nil {
		return finished(ctx, false, err)
	}
	if cmd.JSON {
		writeJSON(m.stdout, e)
		return nil
	}
	m.say("%s tracks with %s would move to S3", humanize.Comma(e.Tracks), bytesText(e.Bytes))
	m.say("  missing files      %s", humanize.Comma(e.Missing))
	m.say("  empty files        %s", humanize.Comma(e.Empty))
	m.say("  outside the root   %s", humanize.Comma(e.OutsideRoot))
	m.say("  unreadable files   %s", humanize.Comma(e.Unreadable))
	m.say("  estimated time     %s", time.Duration(math.Ceil(e.Seconds))*time.Second) // little is not nothing
	return nil
}

type migrateRetryCmd struct {
	JSON bool `name:"json" help:"Write a JSON object."`
}

// Run frees all failures.
func (cmd *migrateRetryCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	freed, err := m.ledger.Retry(ctx)
	if err != nil {
		return finished(ctx, false, err)
	}
	if cmd.JSON {
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			Freed int64  `json:"freed"`
		}{"summary", freed})
		return nil
	}
	m.say("%s tracks are freed; the next run or rollback takes them", humanize.Comma(freed))
	return nil
}
