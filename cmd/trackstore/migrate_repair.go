package main

import (
	"context"

	"github.com/dustin/go-humanize"

	"trackstore/shared/migrate"
	"trackstore/shared/places"
	"trackstore/shared/track"
)

type migrateRepairCmd struct {
	DryRun bool `help:"Only show what would be repaired."`
	JSON   bool `name:"json" help:"Write a JSON object a line."`
}

// Help is shown by --help.
func (migrateRepairCmd) Help() string {
	return "Mends what verify and audit find, as far as that is provably safe. Where an object was removed by a stray command, and its " +
		"bytes are still there beneath a delete marker, the marker goes. Where the version that a row pins is not there, as in a bucket " +
		"that was copied or restored, and the key's current version has the recorded size and checksum, the row pins that one. No bytes " +
		"and no later write are removed.\n\n" +
		"Exit codes: 0 nothing is left to mend; 1 configuration, database or S3 out of reach; 2 findings remain; 3 interrupted."
}

// Run repairs.
func (cmd *migrateRepairCmd) Run(ctx context.Context, c *console) error {
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	r, err := migrate.Repairer{
		Repairs: m.ledger, Files: m.disk, Bucket: m.bucket, DryRun: cmd.DryRun, Found: m.finding(cmd.JSON, nil),
		Elsewhere: places.Elsewhere[migrate.RepairBucket](m.bucket),
		Mended: func(copies track.Copies, what string) {
			if cmd.JSON {
				writeJSON(m.stdout, struct {
					Event      string   `json:"event"`
					TrackID    track.ID `json:"track_id"`
					StorageKey string   `json:"storage_key"`
					Detail     string   `json:"detail"`
				}{"repair", copies.TrackID, copies.Key(), what})
				return
			}
			m.say("repaired  %s  %s: %s", copies.TrackID, printable(copies.Key()), what)
		},
	}.Repair(ctx)
	switch {
	case err != nil:
		return finished(ctx, false, err)
	case cmd.JSON:
		writeJSON(m.stdout, struct {
			Event string `json:"event"`
			migrate.Repaired
		}{"summary", r})
	default:
		would := ""
		if r.DryRun {
			would = " would be"
		}
		m.say("%s tracks checked; %s delete markers%s taken off, %s rows%s pinned anew; %s findings remain", humanize.Comma(r.Checked),
			humanize.Comma(r.Unmarked), would, humanize.Comma(r.Repinned), would, humanize.Comma(r.Findings))
	}
	return finished(ctx, r.Findings > 0, nil)
}
