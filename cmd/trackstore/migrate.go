package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"trackstore/shared/config"
	"trackstore/shared/diskstore"
	"trackstore/shared/migrate"
	"trackstore/shared/pgstore"
	"trackstore/shared/places"
	"trackstore/shared/s3store"
)

type migrateCmd struct {
	NewRoot   bool `help:"TRACK_LOCAL_DIR is meant to be another folder than before, one without the old one's id, from now on."`
	NewBucket bool `help:"AWS_S3_BUCKET is meant to be another bucket than before, one without the old one's id, from now on."`

	Plan       migratePlanCmd     `cmd:"" help:"Show what would move: counts, bytes, missing files, time. Writes nothing."`
	Run        migrateRunCmd      `cmd:"" help:"Move tracks from disk to S3, until nothing is left to claim."`
	Status     migrateStatusCmd   `cmd:"" help:"Show where tracks lie, and what failed."`
	Verify     migrateVerifyCmd   `cmd:"" help:"Read the bytes of tracks on S3 (and on disk) again, and compare them with what was recorded."`
	Retry      migrateRetryCmd    `cmd:"" help:"Give failed and missing tracks another try."`
	Rollback   migrateRollbackCmd `cmd:"" help:"Move tracks from S3 back to disk."`
	PurgeLocal migratePurgeCmd    `cmd:"" help:"Delete local files of tracks that were moved to S3, after comparing them once more."`
	Repair     migrateRepairCmd   `cmd:"" help:"Mend what verify and audit found, as far as that is provably safe. Removes no bytes."`
	Audit      migrateAuditCmd    `cmd:"" help:"Find files without rows, objects without rows, and rows without bytes. Deletes nothing."`
}

// The exit codes beside 0 and 1.
const (
	exitRemains     = exitCode(2) // finished, and failures or findings remain
	exitInterrupted = exitCode(3)
)

// Help is shown by --help.
func (migrateCmd) Help() string {
	return "Any number of these commands may run at once, on several machines: they share the tracks through the database.\n\n" +
		"Exit codes: 0 done; 1 usage, configuration, database or S3 out of reach; 2 finished, and failures or findings remain; 3 interrupted."
}

// AfterApply is run before the command is.
func (cmd *migrateCmd) AfterApply(c *console) error {
	c.meant = places.Meant{NewRoot: cmd.NewRoot, NewBucket: cmd.NewBucket}
	return nil
}

// migration is what the commands work with.
type migration struct {
	*console
	cfg    config.Command
	ledger *pgstore.Store
	bucket *s3store.Store
	disk   *diskstore.Store
	log    *slog.Logger
}

// openMigration reads the configuration and opens the stores. Only the database is dialled.
func openMigration(ctx context.Context, c *console) (*migration, error) {
	debug.SetMemoryLimit(migrate.MemoryLimit)
	cfg, err := config.Load[config.Command](c.getenv)
	if err == nil {
		err = cfg.Storage.RequireS3()
	}
	if err != nil {
		return nil, withHint(err, envHint)
	}
	m := &migration{console: c, cfg: cfg, log: cfg.Logger(c.stderr)}
	p, err := c.openPlaces(ctx, places.Config{Places: cfg.Places, Connections: 8, Log: m.log})
	if err != nil {
		return nil, finished(ctx, false, err)
	}
	m.ledger, m.disk, m.bucket = p.Database, p.Disk, p.Bucket
	m.ledger.TellsMoves = cfg.TellsMoves
	return m, nil
}

// close does not wait long for a database that does not answer: the process is at its end.
func (m *migration) close() {
	closed := make(chan struct{})
	go func() {
		m.ledger.Close()
		close(closed)
	}()
	select {
	case <-closed:
	case <-time.After(500 * time.Millisecond):
	}
}

// finished turns the end of a command into its exit code: remain says whether it leaves
// failures or findings.
func finished(ctx context.Context, remain bool, err error) error {
	switch {
	case errors.Is(err, migrate.ErrDirectionChanged), errors.Is(err, migrate.ErrInterrupted), err != nil && ctx.Err() != nil:
		return exitInterrupted
	case err != nil:
		return err
	case remain:
		return exitRemains
	}
	return nil
}

// say writes a line for people.
func (m *migration) say(format string, args ...any) {
	fmt.Fprintf(m.stdout, format+"\n", args...)
}
