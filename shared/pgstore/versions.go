package pgstore

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
)

// PinnedVersions returns the versions of an object that rows pin, the empty string among them
// where a row names the object and its version is not known. None: no row names it.
func (s *Store) PinnedVersions(ctx context.Context, key string, grace time.Duration) (pinned []string, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("pinned_versions"), key, grace)
		if err != nil {
			return err
		}
		pinned, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return pinned, s.failure("pinned versions", err)
}

// SweepPosition returns the key below prefix after which the sweep goes on; empty: at the first.
func (s *Store) SweepPosition(ctx context.Context, prefix string) (after string, err error) {
	err = retry(ctx, func() error { return s.pool.QueryRow(ctx, s.sql("sweep_position"), prefix).Scan(&after) })
	return after, s.failure("how far the sweep has come", err)
}

// KeepSweepPosition keeps how far the sweep has come.
func (s *Store) KeepSweepPosition(ctx context.Context, prefix, after string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("keep_sweep_position"), prefix, after)
		return err
	})
	return s.failure("keep how far the sweep has come", err)
}
