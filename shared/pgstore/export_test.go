package pgstore

import (
	"context"
	"io/fs"
	"path"
	"strings"

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
	return &Store{pool: pool, mode: cfg.ConnConfig.DefaultQueryExecMode, statements: &statements{tracks: "tracks"}}, err
}

// Statement is the text of sql/NAME.sql as the server gets it.
func (s *Store) Statement(name string) string { return s.sql(name) }

// StatementNames are those of all statements.
func StatementNames() (names []string, err error) {
	files, err := fs.Glob(sqlFiles, "sql/*.sql")
	for _, file := range files {
		names = append(names, strings.TrimSuffix(path.Base(file), ".sql"))
	}
	return names, err
}

// WithoutEvents makes s settle uploads by the statement as it would be if nobody were told what becomes of tracks.
func (s *Store) WithoutEvents() {
	text := strings.ReplaceAll(s.sql("settle_uploads"), withoutComments("sql/parts/event_data.sql"), "NULL::jsonb")
	before, told, _ := strings.Cut(text, "told AS (")
	_, after, found := strings.Cut(told, "\n), given_up AS")
	if !found {
		panic("settle_uploads tells of what it does in another way than it did")
	}
	s.statements.ready.Store("settle_uploads", before+"given_up AS"+after)
}
