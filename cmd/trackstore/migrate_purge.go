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
	"github.com/dustin/go-humanize/english"
	"github.com/mattn/go-isatty"

	"trackstore/shared/config"
	"trackstore/shared/migrate"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

type migratePurgeCmd struct {
	whichTracks
	Grace  *time.Duration `placeholder:"DURATION" help:"Only copies of tracks that were moved longer ago than this; STORAGE_GRACE unless it is given, and in production no less."`
	Limit  *int           `placeholder:"N" help:"Delete no more than N files."`
	DryRun bool           `help:"Compare everything, and only tell what would be deleted."`
	Yes    bool           `help:"Do not ask. Needed where there is no terminal to ask on."`
	JSON   bool           `name:"json" help:"Write a JSON object a line."`
}

// Run purges.
func (cmd *migratePurgeCmd) Run(ctx context.Context, c *console) error {
	c.meant.LookOnly = cmd.DryRun
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	grace, err := cmd.grace(m.cfg)
	if err != nil {
		return err
	}
	onS3, onDisk, err := cmd.locate(ctx, m, track.Local)
	if err != nil {
		return finished(ctx, false, err)
	}
	for _, id := range onDisk {
		newMoveReport(m, cmd.JSON).skipped(id, track.Local)
	}
	if err := cmd.explain(ctx, m, onS3, grace); err != nil {
		return finished(ctx, false, err)
	}
	purger := migrate.Purger{Files: m.disk, Bucket: m.bucket, Elsewhere: places.Elsewhere[migrate.Bucket](m.bucket), Only: onS3, DryRun: cmd.DryRun}
	if cmd.Limit != nil {
		purger.Limit = *cmd.Limit
	}
	var p migrate.Purged
	if len(cmd.Track) == 0 || len(onS3) > 0 {
		var files, bytes int64
		files, bytes, err = m.purgeable(ctx, grace, purger)
		if err == nil && !cmd.DryRun && !cmd.Yes {
			err = confirm(ctx, c, fmt.Sprintf("Delete %s with %s below %s, of tracks that were moved to the bucket %s longer than %s ago?",
				english.Plural(int(files), "local file", ""), bytesText(bytes), m.disk.Root(), m.cfg.Storage.S3.Bucket, grace))
		}
		if err != nil {
			return finished(ctx, false, err)
		}
		look := m.look(files)
		purger.Purges, purger.Found = countedLedger{m.ledger, look}, m.finding(cmd.JSON, look)
		p, err = purger.Purge(ctx, grace)
		look.stop()
		if err != nil && ctx.Err() == nil {
			m.partly("%s files deleted so far", humanize.Comma(p.Purged))
			return err
		}
	}
	if cmd.JSON {
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			migrate.Purged
		}{"summary", p})
	} else {
		deleted := "deleted"
		if cmd.DryRun {
			deleted = "would be deleted"
		}
		m.say("%s files %s, %s; %s were gone before; %s kept", humanize.Comma(p.Purged), deleted, bytesText(p.Bytes),
			humanize.Comma(p.Absent), humanize.Comma(p.Findings))
	}
	return finished(ctx, p.Findings > 0 && !cmd.DryRun, err)
}

// explain says of tracks that were named and are on S3 why there is nothing to purge.
func (cmd *migratePurgeCmd) explain(ctx context.Context, m *migration, ids []track.ID, grace time.Duration) error {
	if len(ids) == 0 {
		return nil
	}
	out := newMoveReport(m, cmd.JSON)
	for c, err := range m.ledger.Candidates(ctx, track.ToLocal, track.Selection{TrackIDs: ids, Uploaded: true}) {
		if err != nil {
			return err
		}
		moved := c.Object.RecordedAt
		switch {
		case c.Purged, c.FilePath == "":
			out.kept(c.TrackID, "it has no local copy any more")
		case moved.IsZero():
			out.kept(c.TrackID, "nothing is recorded of its move; verify records it")
		case time.Since(moved) < grace:
			out.kept(c.TrackID, fmt.Sprintf("it was moved %s ago, and its local copy stays for %s", time.Since(moved).Round(time.Second), grace))
		}
	}
	return nil
}

// grace is what the flags say, as far as that is allowed.
func (cmd *migratePurgeCmd) grace(cfg config.Command) (time.Duration, error) {
	switch {
	case cmd.Limit != nil && *cmd.Limit < 1:
		return 0, withHint(errors.New("--limit is less than 1"), "leave it out for no limit")
	case cmd.Grace == nil:
		return cfg.Retention.Grace, nil
	case *cmd.Grace < 0:
		return 0, errors.New("--grace is negative")
	case cfg.Env == config.Production && *cmd.Grace < cfg.Retention.Grace:
		return 0, withHint(fmt.Errorf("--grace %s is shorter than STORAGE_GRACE, %s", *cmd.Grace, cfg.Retention.Grace),
			"in production a restored database must find the files that it names; who means it changes STORAGE_GRACE")
	}
	return *cmd.Grace, nil
}

// purgeable counts what a purge covers, as the database has it.
func (m *migration) purgeable(ctx context.Context, grace time.Duration, p migrate.Purger) (files, bytes int64, err error) {
	for c, err := range p.Chosen(m.ledger.Purgeable(ctx, grace)) {
		if err != nil {
			return files, bytes, err
		}
		files++
		if c.Object.Digest != nil {
			bytes += c.Object.Digest.Size
		}
		if p.Limit > 0 && files >= int64(p.Limit) {
			break
		}
	}
	return files, bytes, nil
}

// confirm asks on a terminal. Where there is none, nobody can say yes.
func confirm(ctx context.Context, c *console, question string) error {
	if !isatty.IsTerminal(os.Stdin.Fd()) {
		return withHint(errors.New("nothing was deleted: there is no terminal to ask on"), "give --yes; --dry-run shows what would go")
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
