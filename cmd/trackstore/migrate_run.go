package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// moveFlags are those of run and rollback.
type moveFlags struct {
	whichTracks
	Workers   int  `default:"128" help:"Copies at once, at most. It starts with 16 and goes up while that is faster."`
	Limit     int  `placeholder:"N" help:"Claim no more than N tracks."`
	Bandwidth size `placeholder:"SIZE" help:"Bytes a second that this process moves at most, such as 50MiB."`
	DryRun    bool `help:"Only show what would be moved."`
	JSON      bool `name:"json" help:"Write a JSON object a line."`
}

type migrateRunCmd struct{ moveFlags }

type migrateRollbackCmd struct {
	moveFlags
	All bool `help:"Also tracks that were uploaded to S3, not only those that were migrated."`
}

// Run moves to S3.
func (cmd *migrateRunCmd) Run(ctx context.Context, c *console) error {
	return cmd.move(ctx, c, track.ToS3, false)
}

// Run moves to disk.
func (cmd *migrateRollbackCmd) Run(ctx context.Context, c *console) error {
	return cmd.move(ctx, c, track.ToLocal, cmd.All)
}

// interruptGrace is how long copies may go on after an interrupt. What is left of the ten
// seconds is for settling and giving leases back.
const interruptGrace = 4 * time.Second

func (f *moveFlags) move(ctx context.Context, c *console, d track.Direction, uploaded bool) error {
	if err := f.validate(); err != nil {
		return err
	}
	m, err := openMigration(ctx, c)
	if err != nil {
		return err
	}
	defer m.close()
	ids, there, err := f.locate(ctx, m, d.Backend())
	if err != nil {
		return finished(ctx, false, err)
	}
	if err := f.covered(ctx, m, d, ids, uploaded); err != nil {
		return finished(ctx, false, err)
	}
	out := newMoveReport(m, f.JSON)
	for _, id := range there {
		out.skipped(id, d.Backend())
	}
	nothing := len(f.Track) > 0 && len(ids) == 0
	if f.DryRun {
		return finished(ctx, false, f.dryRun(ctx, m, out, d, ids, uploaded, nothing))
	}

	summary := migrate.Summary{Direction: d, Done: true}
	if !nothing {
		if _, err := m.ledger.Turn(ctx, d, true); err != nil {
			return finished(ctx, false, err)
		}
		total, err := m.ledger.Remaining(ctx, d, ids, uploaded)
		if err != nil {
			return finished(ctx, false, err)
		}
		if f.Limit > 0 {
			total = min(total, int64(f.Limit))
		}
		out.begin(total)
		summary, err = migrate.Run(ctx, m.ledger, m.mover(d, f.Bandwidth, out.moved), migrate.Job{
			TrackIDs: ids, Uploaded: uploaded, Limit: f.Limit, Workers: f.Workers, Lease: m.cfg.Migration.Lease,
			Finish: interruptGrace, Patience: -1,
		}, out, m.log)
		out.end()
		if err != nil && !errors.Is(err, migrate.ErrInterrupted) && !errors.Is(err, migrate.ErrTurned) {
			return finished(ctx, false, err)
		}
		if err != nil {
			out.summary(summary)
			fmt.Fprintf(c.stderr, "trackstore: %v; what was in flight is finished or given back\n", err)
			return finished(ctx, false, err)
		}
	}
	failures, err := m.failures(ctx, d, f.Track)
	if err != nil {
		return finished(ctx, false, err)
	}
	out.failures(failures)
	out.summary(summary)
	return finished(ctx, len(failures) > 0, nil)
}

// covered refuses tracks that were named and that a rollback would pass over without a word.
func (f *moveFlags) covered(ctx context.Context, m *migration, d track.Direction, ids []track.ID, uploaded bool) error {
	if d != track.ToLocal || uploaded || len(ids) == 0 {
		return nil
	}
	for l, err := range m.ledger.Candidates(ctx, d, ids, true) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(l.Key, track.MigratedPrefix) {
			return withHint(fmt.Errorf("--track %s: it was uploaded to S3, not migrated", l.TrackID), "give --all, too")
		}
	}
	return nil
}

func (f *moveFlags) validate() error {
	switch {
	case f.Workers < 1:
		return withHint(errors.New("--workers is less than 1"), "leave it out for as many as pay off")
	case f.Limit < 0:
		return withHint(errors.New("--limit is negative"), "leave it out for no limit")
	}
	return nil
}

// dryRun reports what a run would find. A rollback's objects are not looked at.
func (f *moveFlags) dryRun(
	ctx context.Context, m *migration, out *moveReport, d track.Direction, ids []track.ID, uploaded, nothing bool,
) error {
	summary := migrate.Summary{Direction: d, Done: nothing}
	if nothing {
		out.wouldInAll(summary)
		return nil
	}
	report := func(l track.Lease, size int64, failed track.MigrationState, err error) {
		if f.Limit > 0 && summary.Remaining >= int64(f.Limit) {
			return
		}
		summary.Remaining++
		switch failed {
		case "":
			summary.Bytes += size
		case track.Missing:
			summary.Missing++
		default:
			summary.Failed++
		}
		out.would(l, size, failed, err)
	}
	candidates := m.ledger.Candidates(ctx, d, ids, uploaded)
	if d == track.ToLocal {
		for l, err := range candidates {
			if err != nil {
				return err
			}
			report(l, l.Size, "", nil)
		}
	} else if err := migrate.Inspect(ctx, candidates, m.disk, report); err != nil {
		return err
	}
	summary.Done = summary.Remaining == 0
	out.wouldInAll(summary)
	return nil
}

// failures lists what could not be moved, by this run and by those before it.
func (m *migration) failures(ctx context.Context, d track.Direction, ids []track.ID) ([]track.MigrationFailure, error) {
	var all []track.MigrationFailure
	for failure, err := range m.ledger.Failures(ctx, d, ids) {
		if err != nil {
			return nil, err
		}
		all = append(all, failure)
	}
	return all, nil
}
