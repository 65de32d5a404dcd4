package schema

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/golang-migrate/migrate/v4/database"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/shared/track"
)

// SQLSTATE codes, by Postgres' names.
const (
	undefinedTable   = "42P01"
	undefinedColumn  = "42703"
	lockNotAvailable = "55P03"
)

// session is golang-migrate's driver over two connections: one runs the migrations, the
// other holds the lock that keeps runs apart. golang-migrate's own driver takes a lock of
// the server's session, which a transaction pooler leaves on a connection of others, and
// waits for it without regard to the context.
type session struct {
	ctx    context.Context
	work   *pgx.Conn
	tracks track.Table
	create bool

	lock   *pgx.Conn // nil before acquire
	locked pgx.Tx
}

func parse(url string) (*pgx.ConnConfig, error) {
	// The pool's parser, though there is no pool: it takes the pool_… parameters off,
	// which the server would refuse.
	pool, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	cfg := pool.ConnConfig
	// No named statements, whatever the URL says: behind a pooler the next statement may
	// come to another connection.
	cfg.DefaultQueryExecMode = pgx.QueryExecModeExec
	// When ctx ends, the server is asked to break off what it does for us.
	cfg.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: 5 * time.Second}
	}
	return cfg, nil
}

func connect(ctx context.Context, db Database) (*session, error) {
	cfg, err := parse(db.URL)
	if err != nil {
		return nil, err
	}
	work, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, err
	}
	return &session{ctx: ctx, work: work, tracks: db.Tracks, create: db.Create}, nil
}

// acquire waits for the lock that keeps runs apart. It asks again and again: a run that
// waited inside the server would hold a snapshot, and CREATE INDEX CONCURRENTLY in the run
// that has the lock waits for every snapshot. The lock belongs to a transaction, so that it
// is gone with its connection, and is no pooler's to pass on.
func (s *session) acquire() (err error) {
	if s.lock, err = pgx.ConnectConfig(s.ctx, s.work.Config()); err != nil {
		return err
	}
	for waited := false; ; waited = true {
		tx, err := s.lock.Begin(s.ctx)
		if err != nil {
			if waited {
				err = fmt.Errorf("another run has the lock: %w", err)
			}
			return err
		}
		// Building an index takes long; the server must not take us for asleep meanwhile.
		if _, err = tx.Exec(s.ctx, "SET LOCAL idle_in_transaction_session_timeout = 0"); err != nil {
			return errors.Join(err, tx.Rollback(s.ctx))
		}
		// By the simple protocol: the other one's portal would keep a snapshot, too.
		var held bool
		err = tx.QueryRow(s.ctx,
			"SELECT pg_try_advisory_xact_lock(hashtext('trackstore schema'), hashtext(coalesce(current_schema(), '')))",
			pgx.QueryExecModeSimpleProtocol).Scan(&held)
		if err == nil && held {
			s.locked = tx
			return nil
		}
		if err = errors.Join(err, tx.Rollback(s.ctx)); err != nil {
			return err
		}
		select {
		case <-s.ctx.Done():
			return fmt.Errorf("another run has the lock: %w", s.ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// Open is not for use: connect has opened it.
func (*session) Open(string) (database.Driver, error) { return nil, errors.ErrUnsupported }

// Lock does nothing: acquire has the lock.
func (*session) Lock() error { return nil }

// Unlock does nothing: Close gives the lock back.
func (*session) Unlock() error { return nil }

// Drop is not for use: Down takes back what was made, and nothing else.
func (*session) Drop() error { return errors.ErrUnsupported }

// Close gives the lock back and disconnects.
func (s *session) Close() error {
	// The context may be over, and the server is to hear of it all the same.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), 5*time.Second)
	defer cancel()
	if s.locked != nil && !s.lock.IsClosed() {
		_ = s.locked.Rollback(ctx) // if not so, then by the end of the connection
	}
	if s.lock != nil {
		_ = s.lock.Close(ctx)
	}
	return s.work.Close(ctx)
}

// Run runs one file.
func (s *session) Run(migration io.Reader) error {
	body, err := io.ReadAll(migration)
	if err != nil {
		return err
	}
	if _, err = s.work.Exec(s.ctx, forTable(string(body), s.tracks)); err != nil {
		_, _ = s.work.Exec(s.ctx, "ROLLBACK") // of what the file began; the history is still to be read
	}
	return err
}
