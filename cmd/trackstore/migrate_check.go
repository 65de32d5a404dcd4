package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
	"github.com/mattn/go-isatty"

	"trackstore/shared/migrate"
)

type migrateVerifyCmd struct {
	Sample share `default:"100%" placeholder:"SHARE" help:"Only this share of the tracks, such as 5%, chosen at random."`
	JSON   bool  `name:"json" help:"Write a JSON object a line."`
}

// Run verifies.
func (cmd *migrateVerifyCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	v, err := migrate.Verifier{
		Records: m.ledger, Files: m.disk, Bucket: m.bucket, Found: m.finding(cmd.JSON),
	}.Verify(ctx, float64(cmd.Sample))
	if cmd.JSON {
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			migrate.Verification
		}{"summary", v})
	} else {
		m.say("%s tracks checked, %s read; %s checksums recorded; %s findings", humanize.Comma(v.Checked), bytesText(v.Bytes),
			humanize.Comma(v.Recorded), humanize.Comma(v.Findings))
	}
	return finished(ctx, v.Findings > 0, err)
}

type migratePurgeCmd struct {
	Grace *time.Duration `placeholder:"DURATION" help:"Only copies of tracks that were moved longer ago than this; STORAGE_GRACE unless it is given."`
	Yes   bool           `help:"Do not ask."`
	JSON  bool           `name:"json" help:"Write a JSON object a line."`
}

// Run purges.
func (cmd *migratePurgeCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	grace := m.cfg.Retention.Grace
	if cmd.Grace != nil {
		grace = *cmd.Grace
	}
	if grace < 0 {
		return errors.New("--grace is negative")
	}
	if !cmd.Yes {
		if err := confirm(ctx, c, fmt.Sprintf("Delete the local copies of tracks that were moved to S3 longer than %s ago?", grace)); err != nil {
			return err
		}
	}
	p, err := migrate.Purger{
		Purges: m.ledger, Files: m.disk, Bucket: m.bucket, Found: m.finding(cmd.JSON),
	}.Purge(ctx, grace)
	if cmd.JSON {
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			migrate.Purged
		}{"summary", p})
	} else {
		m.say("%s files deleted, %s; %s were gone before; %s kept", humanize.Comma(p.Purged), bytesText(p.Bytes),
			humanize.Comma(p.Absent), humanize.Comma(p.Findings))
	}
	return finished(ctx, p.Findings > 0, err)
}

// confirm asks on a terminal. Where there is none, nobody is asked.
func confirm(ctx context.Context, c *console, question string) error {
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		return nil
	}
	fmt.Fprintf(c.stderr, "%s [y/N] ", question)
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(os.Stdin).ReadString('\n') // the end of the input is a no
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return withHint(errors.New("nothing was deleted"), "answer y, or give --yes")
	case <-ctx.Done():
		return exitInterrupted
	}
}

type migrateAuditCmd struct {
	JSON bool `name:"json" help:"Write a JSON object a line."`
}

// Run audits.
func (cmd *migrateAuditCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	a, err := migrate.Auditor{
		Uses: m.ledger, Files: m.disk, Bucket: m.bucket, Found: m.finding(cmd.JSON),
	}.Audit(ctx, m.cfg.Retention.Grace)
	if cmd.JSON {
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			migrate.Audited
		}{"summary", a})
	} else {
		m.say("%s rows, %s files and %s objects compared; %s without rows are within their grace; %s findings", humanize.Comma(a.Rows),
			humanize.Comma(a.Files), humanize.Comma(a.Objects), humanize.Comma(a.WithinGrace), humanize.Comma(a.Findings))
	}
	return finished(ctx, a.Findings > 0, err)
}

// finding returns how findings are written.
func (m *migration) finding(json bool) func(migrate.Finding) {
	return func(f migrate.Finding) {
		if json {
			writeJSON(m.stdout, struct {
				Event string `json:"event"`
				migrate.Finding
			}{"finding", f})
			return
		}
		what := f.StorageKey
		if f.Path != "" {
			what = strings.TrimSpace(f.Path + " " + f.StorageKey)
		}
		m.say("%-18s  %s  %s: %s", f.Kind, f.TrackID, printable(what), printable(f.Detail))
	}
}
