// Package schema brings the database's schema up and down: golang-migrate over the
// embedded migrations, with a history table of its own beside a platform's.
//
// Runs at the same time wait for each other. A run that was cut short is repaired by the
// next one: every migration may be run again. "Schema" is for SQL; tracks are moved by
// package migrate.
//
// Up and Down want a session to themselves: behind a transaction pooler, give them the
// database's direct address.
package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"
	"github.com/jackc/pgx/v5"

	"trackstore/migrations"
)

// Change says which version a run found and which one it left; 0 is "none".
type Change struct {
	From uint `json:"from"`
	To   uint `json:"to"`
}

// ErrTracksOnS3 refuses a way down that would forget which objects hold tracks' bytes.
var ErrTracksOnS3 = errors.New("tracks lie on S3, and the schema is the only record of where: " +
	"move them back first (trackstore migrate-storage rollback --all)")

// keepsRecord is the lowest version that has the whole record of what lies on S3.
const keepsRecord = 989

// Up applies every migration that is missing. A schema that is newer than this program
// is left alone: the schema only grows, so that an older program may be deployed again.
func Up(ctx context.Context, url string) (Change, error) {
	return wrap("up")(patiently(ctx, func() (Change, error) {
		return run(ctx, url, up, func(all versions, from uint) uint { return max(from, all.latest()) })
	}))
}

// Down takes back the last steps migrations (at least 1), or all where there are fewer.
// It answers ErrTracksOnS3 where that would lose tracks. It looks once, before it begins:
// stop the functions first.
func Down(ctx context.Context, url string, steps int) (Change, error) {
	if steps < 1 {
		return Change{}, fmt.Errorf("schema down: steps is %d, want at least 1", steps)
	}
	return wrap("down")(patiently(ctx, func() (Change, error) {
		return run(ctx, url, down, func(all versions, from uint) uint {
			for range steps {
				from = all.before(from)
			}
			return from
		})
	}))
}

// Version returns the version that the database is at, 0 for none. dirty says that a run
// was cut short or is under way.
func Version(ctx context.Context, url string) (version uint, dirty bool, err error) {
	cfg, err := parse(url)
	if err != nil {
		return 0, false, fmt.Errorf("schema version: %w", err)
	}
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return 0, false, fmt.Errorf("schema version: %w", err)
	}
	defer conn.Close(ctx)
	var v int
	err = conn.QueryRow(ctx, "SELECT version, dirty FROM "+historyTable).Scan(&v, &dirty)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) && sqlState(err) != undefinedTable {
		return 0, false, fmt.Errorf("schema version: %w", err)
	}
	return uint(max(v, 0)), dirty, nil
}

func wrap(direction string) func(Change, error) (Change, error) {
	return func(c Change, err error) (Change, error) {
		if err != nil {
			err = fmt.Errorf("schema %s: %w", direction, err)
		}
		return c, err
	}
}

// patiently runs f again where a migration gave up waiting for its lock on tracks. It
// waits only briefly, because everyone who comes after it waits behind it: so it is the
// migration that steps back, and tries again, for some minutes.
func patiently(ctx context.Context, f func() (Change, error)) (Change, error) {
	change, err := f()
	for attempt := 1; sqlState(err) == lockNotAvailable && attempt < 60; attempt++ {
		select {
		case <-ctx.Done():
			return change, err
		case <-time.After(2 * time.Second):
		}
		var next Change
		next, err = f()
		change.To = next.To
	}
	return change, err
}

// run moves the schema to the version that target picks, given the one found.
func run(ctx context.Context, url string, d direction, target func(all versions, from uint) uint) (change Change, err error) {
	src, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return Change{}, err
	}
	all, err := readVersions(src)
	if err != nil {
		return Change{}, err
	}
	db, err := open(ctx, url)
	if err != nil {
		return Change{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()

	from, err := db.settle(d, all)
	if err != nil {
		return Change{}, err
	}
	to := target(all, from)
	change = Change{From: from, To: from}
	if to == from {
		return change, nil
	}
	if !all.has(from) {
		return change, fmt.Errorf("the database is at version %d, which this program does not know", from)
	}
	if to < keepsRecord && d == down {
		if err := db.refuseToForget(); err != nil {
			return change, err
		}
	}
	m, err := migrate.NewWithInstance("embedded", src, "postgres", db)
	if err != nil {
		return change, err
	}
	stop := context.AfterFunc(ctx, func() { m.GracefulStop <- true }) // between two migrations
	defer stop()
	if to == 0 {
		err = m.Down()
	} else {
		err = m.Migrate(to)
	}
	now, _, versionErr := db.Version()
	if versionErr == nil {
		change.To = uint(max(now, 0))
	}
	if err != nil {
		err = fmt.Errorf("on the way to version %d: %w", change.To, err)
	}
	return change, errors.Join(err, versionErr, ctx.Err())
}
