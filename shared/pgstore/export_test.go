package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"trackstore/shared/track"
)

// ClaimStatement is that of Claim, for its plan.
func (s *Store) ClaimStatement(spec track.ClaimSpec) (sql string, args []any) {
	return s.claimStatement(spec)
}

// OpenTraced is Open with a tracer that sees every statement.
func OpenTraced(ctx context.Context, url string, tracer pgx.QueryTracer) (*Store, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.Tracer = tracer
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	return &Store{pool: pool, mode: cfg.ConnConfig.DefaultQueryExecMode, statements: loadStatements("tracks")}, err
}
