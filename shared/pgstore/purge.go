package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Purgeable is that of migrate.Purges.
func (s *Store) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return s.copies(ctx, "list local copies", s.sql("purgeable"), grace)
}

// Mark is that of migrate.Purges.
func (s *Store) Mark(ctx context.Context, c track.Copies, paths []string, grace time.Duration) (marked bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("mark_local_copy"),
			c.TrackID, grace, c.FileVersion, c.Key(), c.FilePath, paths).Scan(&marked)
	})
	return marked, s.failure("mark a local copy", err)
}

// InUse is that of migrate.Purges.
func (s *Store) InUse(ctx context.Context, paths []string, grace time.Duration) (inUse bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("file_in_use"), grace, paths).Scan(&inUse)
	})
	return inUse, s.failure("see who uses a file", err)
}

// Unlinked is that of migrate.Purges.
func (s *Store) Unlinked(ctx context.Context, paths []string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("note_unlinked"), paths)
		return err
	})
	return s.failure("note a removed local copy", err)
}

// Unfinished is that of migrate.Purges.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[track.Copies, error] {
	marked := listing{op: "list marked local copies", sql: s.sql("unfinished_purges")}
	return list(ctx, s, marked, func(row pgx.CollectableRow) (c track.Copies, err error) {
		err = row.Scan(&c.TrackID, &c.FilePath)
		return c, err
	})
}

// LocalPaths is that of migrate.Purges.
func (s *Store) LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error] {
	return s.paths(ctx, s.sql("local_paths"), grace)
}
