// Package pgstore keeps tracks, uploads, discards and migrations in Postgres. It is the
// only package that speaks to the database, schema apart; each capability has its own
// file. Errors leave it as the errors of package track.
//
// Nothing here relies on a session's state outside one transaction, so that it works
// behind a transaction pooler (PgBouncer, RDS Proxy); there, DATABASE_URL sets pgx's
// default_query_exec_mode to exec or simple_protocol.
package pgstore

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/shared/track"
)

// Store is a pool of connections to one database. Its methods may be called concurrently.
type Store struct {
	// TellsMoves says that each track that is moved leaves an event. It is set before the first call.
	TellsMoves bool

	pool       *pgxpool.Pool
	mode       pgx.QueryExecMode // that the URL asks for, or pgx's default
	password   *password         // nil: the URL's, for good
	statements *statements
}

// Open prepares a pool of at most maxConns connections (0: what the URL's
// pool_max_conns says, else pgx's default). It does not dial: a function's cold start
// does not wait for the database, and the first call that needs it does.
// It fails only where url cannot be understood; the error does not show its password.
func Open(ctx context.Context, url string, maxConns int32) (*Store, error) {
	return open(ctx, url, maxConns, nil)
}

func open(ctx context.Context, url string, maxConns int32, password *password) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database URL: %w", err)
	}
	if maxConns > 0 {
		cfg.MaxConns = maxConns
	}
	// No connection is held for nothing: a fleet of functions shares the server's few.
	// One that was idle for more than a second is pinged before it is handed out (pgx's
	// default), for the server may have gone while the function was frozen.
	cfg.MinConns, cfg.MinIdleConns = 0, 0
	cfg.MaxConnIdleTime = min(cfg.MaxConnIdleTime, 5*time.Minute)
	cfg.MaxConnLifetime = min(cfg.MaxConnLifetime, 30*time.Minute)
	cfg.PingTimeout = 2 * time.Second
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 5 * time.Second
	}
	if _, named := cfg.ConnConfig.RuntimeParams["application_name"]; !named {
		cfg.ConnConfig.RuntimeParams["application_name"] = "trackstore"
	}
	if password != nil {
		cfg.BeforeConnect = password.apply
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("database pool: %w", err)
	}
	return &Store{
		pool: pool, mode: cfg.ConnConfig.DefaultQueryExecMode, password: password, statements: &statements{tracks: "tracks"},
	}, nil
}

// Over makes the store work with a platform's table that has another name than tracks. It is
// for right after opening.
func (s *Store) Over(tracks track.Table) *Store {
	s.statements = &statements{tracks: tracks.String()}
	return s
}

// Name says which database it is, for people: its name and its server's.
func (s *Store) Name() string {
	c := s.pool.Config().ConnConfig
	return c.Database + " at " + c.Host
}

// Close waits for connections in use and closes all.
func (s *Store) Close() { s.pool.Close() }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.failure("ping the database", s.pool.Ping(ctx))
}

// CheckSchema answers track.ErrNoSchema where the tables of trackstore are not there. It
// reads none of their rows.
func (s *Store) CheckSchema(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, s.sql("check_schema"))
	return s.failure("check the schema", err)
}
