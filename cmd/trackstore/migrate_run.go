package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"trackstore/shared/audio"
	"trackstore/shared/migrate"
	"trackstore/shared/track"
)

// moveFlags are those of run and rollback.
type moveFlags struct {
	whichTracks
	Workers   *int `placeholder:"N" help:"Copies at once, and requests to S3 at most. Without it as many as pay off, up to 1,024; either is halved for a while where S3 asks to slow down."`
	Limit     *int `placeholder:"N" help:"Claim no more than N tracks."`
	Bandwidth size `placeholder:"SIZE" help:"Bytes a second that this process moves at most, such as 50MiB."`
	DryRun    bool `help:"Only show what would be moved."`
	JSON      bool `name:"json" help:"Write a JSON object a line."`

	LockWait time.Duration `default:"10m" placeholder:"DURATION" help:"How long a row that another transaction has locked is waited for, while all others are moved."`
	prefer   migrate.Prefer
}

type migrateRunCmd struct{ moveFlags }

type migrateRollbackCmd struct {
	moveFlags
	All    bool           `help:"Also tracks that were uploaded to S3, not only those that were migrated."`
	Prefer migrate.Prefer `enum:",disk,s3" default:"" placeholder:"WHICH" help:"Which copy to take, disk or s3, where the one on disk was changed after the track was moved. Without it such a track is a mismatch."`
}

// Run moves to S3.
func (cmd *migrateRunCmd) Run(ctx context.Context, c *console) error {
	return cmd.move(ctx, c, track.ToS3, false)
}

// Run moves to disk.
func (cmd *migrateRollbackCmd) Run(ctx context.Context, c *console) error {
	cmd.prefer = cmd.Prefer
	return cmd.move(ctx, c, track.ToLocal, cmd.All)
}

func (f *moveFlags) move(ctx context.Context, c *console, d track.Direction, uploaded bool) error {
	if err := f.validate(); err != nil {
		return err
	}
	c.meant.LookOnly = f.DryRun
	if f.Workers != nil {
		c.requests = *f.Workers
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
	which := track.Selection{TrackIDs: ids, Uploaded: uploaded}
	if err := f.covered(ctx, m, d, which); err != nil {
		return finished(ctx, false, err)
	}
	out := newMoveReport(m, f.JSON)
	for _, id := range there {
		out.skipped(id, d.Backend())
	}
	nothing := len(f.Track) > 0 && len(ids) == 0
	if f.DryRun {
		if nothing {
			out.candidates(migrate.Summary{Direction: d, Done: true})
			return nil
		}
		return finished(ctx, false, f.dryRun(ctx, m, out, d, which))
	}

	summary := migrate.Summary{Direction: d, Done: true}
	if !nothing {
		if err := m.ledger.SetDirection(ctx, d); err != nil {
			return finished(ctx, false, err)
		}
		total, err := m.ledger.Remaining(ctx, d, which)
		if err != nil {
			return finished(ctx, false, err)
		}
		job := migrate.NewJob(m.cfg.Migration.Lease)
		job.Selection, job.LockWait = which, f.LockWait
		if f.Workers != nil {
			job.Workers = *f.Workers
		}
		if f.Limit != nil {
			job.Limit, total = *f.Limit, min(total, int64(*f.Limit))
		}
		out.begin(total)
		summary, err = migrate.Runner{Ledger: m.ledger, Mover: f.mover(m, d, out.count), Observer: out, Log: m.log}.Run(ctx, job)
		out.end()
		if err != nil && !errors.Is(err, migrate.ErrInterrupted) && !errors.Is(err, migrate.ErrDirectionChanged) {
			return finished(ctx, false, err)
		}
		if err != nil {
			out.summary(summary)
			fmt.Fprintf(c.stderr, "trackstore: %v; what was in flight is finished or given back\n", err)
			return finished(ctx, false, err)
		}
	}
	failures, err := m.failures(ctx, d, track.Selection{TrackIDs: f.Track})
	if err != nil {
		return finished(ctx, false, err)
	}
	out.failures(failures)
	out.summary(summary)
	return finished(ctx, len(failures) > 0, nil)
}

// covered refuses tracks that were named and that a rollback would pass over without a word.
func (f *moveFlags) covered(ctx context.Context, m *migration, d track.Direction, which track.Selection) error {
	if d != track.ToLocal || which.Uploaded || len(which.TrackIDs) == 0 {
		return nil
	}
	which.Uploaded = true
	for c, err := range m.ledger.Candidates(ctx, d, which) {
		if err != nil {
			return err
		}
		if !strings.HasPrefix(c.Key(), track.MigratedPrefix) {
			return withHint(fmt.Errorf("--track %s: it was uploaded to S3, not migrated", c.TrackID), "give --all, too")
		}
	}
	return nil
}

// mover returns what moves tracks in direction d. It tells count how many bytes it moves.
func (f *moveFlags) mover(m *migration, d track.Direction, count func(bytes int64)) migrate.Mover {
	bucket := countedBucket{m.bucket, count}
	elsewhere := func(name string) (migrate.Bucket, error) {
		other, err := m.bucket.In(name)
		return countedBucket{other, count}, err
	}
	if d == track.ToLocal {
		return migrate.NewRestore(migrate.Restore{
			Disk: m.disk, Bucket: bucket, Elsewhere: elsewhere, Bandwidth: int64(f.Bandwidth), Prefer: f.prefer,
		})
	}
	return migrate.NewUpload(migrate.Upload{
		Files: m.disk, Bucket: bucket, Large: bucket, Elsewhere: elsewhere, Sniff: audio.Detect, Bandwidth: int64(f.Bandwidth),
	})
}

func (f *moveFlags) validate() error {
	switch {
	case f.Workers != nil && *f.Workers < 1:
		return withHint(errors.New("--workers is less than 1"), "leave it out for as many as pay off")
	case f.Limit != nil && *f.Limit < 1:
		return withHint(errors.New("--limit is less than 1"), "leave it out for no limit")
	case f.LockWait < 0:
		return withHint(errors.New("--lock-wait is negative"), "0s fails such a track at once")
	}
	return nil
}

// dryRun reports what a run would find. A rollback's objects are not looked at.
func (f *moveFlags) dryRun(ctx context.Context, m *migration, out *moveReport, d track.Direction, which track.Selection) error {
	if err := f.mover(m, d, nil).Prove(ctx); err != nil {
		return err
	}
	summary := migrate.Summary{Direction: d}
	report := func(c migrate.Inspection) {
		if f.Limit != nil && summary.Remaining >= int64(*f.Limit) {
			return
		}
		summary.Remaining++
		switch {
		case c.Failure == nil:
			summary.Bytes += c.Size
		case c.Failure.Kind == track.Missing:
			summary.Missing++
		default:
			summary.Failed++
		}
		out.candidate(c)
	}
	candidates := m.ledger.Candidates(ctx, d, which)
	if d == track.ToLocal {
		for c, err := range candidates {
			if err != nil {
				return err
			}
			report(migrate.Inspection{Copies: c.Copies, Size: c.Size})
		}
	} else if err := migrate.Inspect(ctx, candidates, m.disk, report); err != nil {
		return err
	}
	summary.Done = summary.Remaining == 0
	out.candidates(summary)
	return nil
}

// failures lists what could not be moved, by this run and by those before it.
func (m *migration) failures(ctx context.Context, d track.Direction, which track.Selection) ([]track.MigrationFailure, error) {
	var all []track.MigrationFailure
	for failure, err := range m.ledger.Failures(ctx, d, which) {
		if err != nil {
			return nil, err
		}
		all = append(all, failure)
	}
	return all, nil
}
