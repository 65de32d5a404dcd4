// Package schema brings the database's schema up and down: golang-migrate over the
// embedded migrations, with a history table of its own beside a platform's. It also says
// beforehand what of a platform's table would not work (Check), and which rights each
// function needs (Grants).
//
// Runs at the same time wait for each other. A run that was cut short is repaired by the
// next one: every migration may be run again. "Schema" is for SQL; tracks are moved by
// package migrate.
//
// Nothing here holds more of a session than a transaction does, so that all of it works
// behind a transaction pooler that has two connections for it.
package schema

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/golang-migrate/migrate/v4"
	"github.com/golang-migrate/migrate/v4/source/iofs"

	"trackstore/migrations"
	"trackstore/shared/track"
)

// Database says where the database is, and which of its tables is the platform's.
type Database struct {
	URL    string
	Tracks track.Table
	// Create lets Up make a table of tracks although another table looks like a platform's.
	Create bool
}

// Change says which version a run found and which one it left; 0 is "none".
type Change struct {
	From uint `json:"from"`
	To   uint `json:"to"`
}

// All is more steps down than there are.
const All = 1 << 30

// Up applies every migration that is missing. A schema that is newer than this program
// is left alone: the schema only grows, so that an older program may be deployed again.
// Where the platform's table cannot do, it answers a *Refusal before anything is changed.
func Up(ctx context.Context, db Database) (Change, error) {
	return wrap("up")(patiently(ctx, func() (Change, error) {
		return run(ctx, db, up, func(all versions, from uint) uint { return max(from, all.latest()) })
	}))
}

// Down takes back the last steps migrations (at least 1), or all where there are fewer;
// then the database is as it was before the first Up. It drops what trackstore made, and
// nothing that was there before. It refuses where that would lose tracks. It looks once,
// before it begins: stop the functions first. What Noted returns is forgotten by the way
// down to nothing.
func Down(ctx context.Context, db Database, steps int) (Change, error) {
	if steps < 1 {
		return Change{}, fmt.Errorf("schema down: steps is %d, want at least 1", steps)
	}
	return wrap("down")(patiently(ctx, func() (Change, error) {
		return run(ctx, db, down, func(all versions, from uint) uint {
			for i := 0; i < steps && from > 0; i++ {
				from = all.before(from)
			}
			return from
		})
	}))
}

// Version returns the version that the database is at, 0 for none. dirty says that a run
// was cut short or is under way.
func Version(ctx context.Context, url string) (version uint, dirty bool, err error) {
	s, err := connect(ctx, Database{URL: url})
	if err != nil {
		return 0, false, fmt.Errorf("schema version: %w", err)
	}
	defer s.Close() //nolint:errcheck // nothing was written
	v, dirty, err := s.Version()
	if err != nil {
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
func run(ctx context.Context, db Database, d direction, target func(all versions, from uint) uint) (change Change, err error) {
	src, err := iofs.New(migrations.FS, ".")
	if err != nil {
		return Change{}, err
	}
	all, err := readVersions(src)
	if err != nil {
		return Change{}, err
	}
	s, err := connect(ctx, db)
	if err != nil {
		return Change{}, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()

	// A look without a lock: nearly every deployment finds nothing to do.
	if found, dirty, err := s.Version(); err != nil {
		return Change{}, err
	} else if v := uint(max(found, 0)); d == up && !dirty && v >= all.latest() {
		return Change{From: v, To: v}, s.checkSameTable()
	}
	if err := s.acquire(); err != nil {
		return Change{}, err
	}
	from, at, err := s.settle(d, all)
	if err != nil {
		return Change{}, err
	}
	to := target(all, from)
	change = Change{From: from, To: from}
	switch {
	case to == at:
		return change, nil
	case !all.has(from):
		return change, fmt.Errorf("the database is at version %d, which this program does not know", from)
	case d == up:
		err = s.prepare(from)
	default:
		err = s.refuseToForget(to)
	}
	if err != nil {
		return change, err
	}
	if err := s.SetVersion(historyVersion(at), false); err != nil {
		return change, err
	}
	m, err := migrate.NewWithInstance("embedded", src, "postgres", s)
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
	now, _, versionErr := s.Version()
	if versionErr == nil {
		change.To = uint(max(now, 0))
	}
	if err != nil {
		return change, errors.Join(fmt.Errorf("on the way to version %d: %w", change.To, err), versionErr, ctx.Err())
	}
	if err := errors.Join(versionErr, ctx.Err()); err != nil || to > 0 {
		return change, err
	}
	return change, s.forget()
}
