package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"trackstore/shared/migrate"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

type migrateVerifyCmd struct {
	After  track.ID `placeholder:"ID" help:"Go on behind this track: an earlier verification says where it came to."`
	Sample share    `default:"100%" placeholder:"SHARE" help:"Only this share of the tracks, such as 5%, chosen at random."`
	JSON   bool     `name:"json" help:"Write a JSON object a line."`
}

// Run verifies.
func (cmd *migrateVerifyCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	now, err := m.ledger.Progress(ctx)
	if err != nil {
		return finished(ctx, false, err)
	}
	look := m.look(int64(math.Ceil(float64(now.S3) * float64(cmd.Sample))))
	v, err := migrate.Verifier{
		Records: m.ledger, Files: m.disk, Bucket: countedReads{m.bucket, look}, Found: m.finding(cmd.JSON, look), Reached: m.reached(look),
		Elsewhere: places.Elsewhere[migrate.Bucket](m.bucket),
	}.Verify(ctx, float64(cmd.Sample), cmd.After)
	look.stop()
	if !v.After.IsZero() {
		fmt.Fprintf(m.stderr, "trackstore: --after %s goes on from here\n", v.After)
	}
	if err != nil && ctx.Err() == nil {
		m.partly("%s tracks checked so far, %s findings", humanize.Comma(v.Checked), humanize.Comma(v.Findings))
		return err
	}
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

// reached returns what tells how far a verification came, once a minute, where there is no bar: a process that is killed
// says nothing at its end.
func (m *migration) reached(look *lookBar) func(track.ID) {
	if look != nil {
		return nil
	}
	told := time.Now()
	return func(after track.ID) {
		if time.Since(told) >= time.Minute {
			told = time.Now()
			fmt.Fprintf(m.stderr, "trackstore: checked up to --after %s\n", after)
		}
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
	now, err := m.ledger.Progress(ctx)
	if err != nil {
		return finished(ctx, false, err)
	}
	look := m.look(now.Local + now.S3)
	a, err := migrate.Auditor{
		Uses: countedLedger{m.ledger, look}, Files: listedDisk{m.disk, look}, Bucket: listedBucket{m.bucket, look}, Found: m.finding(cmd.JSON, look),
		Elsewhere: places.Elsewhere[migrate.Bucket](m.bucket),
	}.Audit(ctx, m.cfg.Retention.Grace)
	look.stop()
	if err != nil && ctx.Err() == nil {
		m.partly("%s rows compared so far, %s findings", humanize.Comma(a.Rows), humanize.Comma(a.Findings))
		return err
	}
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

// finding returns how findings are written, beside a bar that may be nil.
func (m *migration) finding(json bool, look *lookBar) func(migrate.Finding) {
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
		look.println(m.stdout, fmt.Sprintf("%-18s  %s  %s: %s", f.Kind, f.TrackID, printable(what), printable(f.Detail)))
	}
}
