package schema

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	postgres "github.com/golang-migrate/migrate/v4/database/pgx/v5"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

const historyTable = "trackstore_schema_migrations"

// SQLSTATE codes, by Postgres' names.
const (
	undefinedTable   = "42P01"
	undefinedColumn  = "42703"
	lockNotAvailable = "55P03"
)

// db is golang-migrate's driver, with two differences: all runs hold one lock that does
// no harm while they wait, and a migration ends with its context.
type db struct {
	database.Driver // keeps the history table; owns pool
	ctx             context.Context
	pool            *sql.DB
	lock            *sql.Tx
}

func parse(url string) (*pgx.ConnConfig, error) {
	// The pool's parser, though there is no pool: it takes the pool_… parameters off,
	// which the server would refuse.
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	return cfg.ConnConfig, nil
}

// open connects and returns once no other run holds the lock.
func open(ctx context.Context, url string) (*db, error) {
	cfg, err := parse(url)
	if err != nil {
		return nil, err
	}
	// When ctx ends, the server is asked to break off what it does for us.
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 5 * time.Second}
	}
	d := &db{ctx: ctx, pool: stdlib.OpenDB(*cfg)}
	if err := d.acquire(); err != nil {
		return nil, errors.Join(err, d.pool.Close())
	}
	d.Driver, err = postgres.WithInstance(d.pool, &postgres.Config{MigrationsTable: historyTable})
	if err != nil {
		return nil, errors.Join(err, d.lock.Rollback(), d.pool.Close())
	}
	return d, nil
}

// acquire waits for the lock that keeps runs apart. It asks again and again: a run that
// waited inside the server, as the driver's own lock does, would hold a snapshot, and
// CREATE INDEX CONCURRENTLY in the run that has the lock waits for every snapshot.
// The lock belongs to a transaction, so that it is gone with its connection.
func (d *db) acquire() error {
	for {
		tx, err := d.pool.BeginTx(d.ctx, nil)
		if err != nil {
			return err
		}
		// Building an index takes long; the server must not take us for asleep meanwhile.
		if _, err = tx.ExecContext(d.ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return errors.Join(err, tx.Rollback())
		}
		// By the simple protocol: the other one's portal would keep a snapshot, too.
		var held bool
		err = tx.QueryRowContext(d.ctx,
			"SELECT pg_try_advisory_xact_lock(hashtext('trackstore schema'), hashtext(current_schema()))",
			pgx.QueryExecModeSimpleProtocol).Scan(&held)
		if err == nil && held {
			d.lock = tx
			return nil
		}
		if err = errors.Join(err, tx.Rollback()); err != nil {
			return err
		}
		select {
		case <-d.ctx.Done():
			return fmt.Errorf("another run has the lock: %w", d.ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Lock does nothing: open has the lock.
func (d *db) Lock() error { return nil }

// Unlock does nothing: Close gives the lock back.
func (d *db) Unlock() error { return nil }

// Close gives the lock back and disconnects.
func (d *db) Close() error {
	err := d.lock.Rollback()
	if errors.Is(err, sql.ErrTxDone) { // ctx ended, and it with it
		err = nil
	}
	return errors.Join(err, d.Driver.Close())
}

// Run runs one file.
func (d *db) Run(migration io.Reader) error {
	body, err := io.ReadAll(migration)
	if err != nil {
		return err
	}
	_, err = d.pool.ExecContext(d.ctx, string(body))
	return err
}

// settle repairs what an earlier run left half-done and returns the version to start from.
func (d *db) settle(dir direction, all versions) (uint, error) {
	found, dirty, err := d.Version()
	if err != nil {
		return 0, err
	}
	v := uint(max(found, 0))
	if dirty {
		if !all.has(v) {
			return 0, fmt.Errorf("version %d was applied in part, by a newer program: run that one again", v)
		}
		// "v, dirty" is the way up to v, or the way down to v from the next one. Each file
		// may be run again, in part or whole: so the first is settled by running v's up
		// migration again, the second by running the next one's down migration again, and
		// going up both are settled by the former, going down both by the latter.
		v = all.before(v)
		if dir == down {
			v = all.after(uint(max(found, 0)))
		}
		if err := d.SetVersion(historyVersion(v), false); err != nil {
			return 0, err
		}
	}
	if dir == up {
		err = d.dropInvalidIndexes()
	}
	return v, err
}

// historyVersion is what the history table is told for v.
func historyVersion(v uint) int {
	if v == 0 {
		return database.NilVersion
	}
	return int(v)
}

// dropInvalidIndexes removes what a CREATE INDEX CONCURRENTLY left that was cut short:
// such an index serves nobody, and IF NOT EXISTS would take it for done. Only this
// schema's indexes are looked at.
func (d *db) dropInvalidIndexes() error {
	var names []string
	rows, err := d.pool.QueryContext(d.ctx, `
		SELECT indexrelid::regclass::text FROM pg_index
		WHERE NOT indisvalid AND indrelid = to_regclass('tracks')
			AND (SELECT relname FROM pg_class WHERE oid = indexrelid) ~ '^tracks_(storage_backend|trackstore)_'`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := d.pool.ExecContext(d.ctx, "DROP INDEX CONCURRENTLY IF EXISTS "+name); err != nil {
			return err
		}
	}
	return nil
}

// refuseToForget is the guard of 000985's down migration.
func (d *db) refuseToForget() error {
	var onS3 bool
	err := d.pool.QueryRowContext(d.ctx,
		"SELECT EXISTS (SELECT FROM tracks WHERE storage_backend <> 'local')").Scan(&onS3)
	switch {
	case sqlState(err) == undefinedTable, sqlState(err) == undefinedColumn: // already down
		return nil
	case err != nil:
		return err
	case onS3:
		return ErrTracksOnS3
	}
	return nil
}

func sqlState(err error) string {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		return pgErr.Code
	}
	return ""
}
