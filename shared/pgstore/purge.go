package pgstore

import (
	"context"
	"encoding/json"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Purgeable is that of migrate.Purges.
func (s *Store) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return s.copies(ctx, track.ID{}, listing{"list local copies", s.sql("purgeable"), []any{grace}})
}

// Mark is that of migrate.Purges.
func (s *Store) Mark(ctx context.Context, doomed []track.DoomedFile, grace time.Duration) (marked []bool, err error) {
	input, err := inputOf(doomed, func(d track.DoomedFile) []string { return d.Marks })
	if err == nil {
		marked, err = s.numbers(ctx, len(doomed), s.sql("mark_local_copies"), input, grace)
	}
	return marked, s.failure("mark local copies", err)
}

// InUse is that of migrate.Purges.
func (s *Store) InUse(ctx context.Context, files []track.DoomedFile, grace time.Duration) (inUse []bool, err error) {
	input, err := inputOf(files, func(d track.DoomedFile) []string { return d.Names })
	if err == nil {
		inUse, err = s.numbers(ctx, len(files), s.sql("files_in_use"), grace, input)
	}
	return inUse, s.failure("see who uses files", err)
}

// inputOf writes files for a statement, with their numbers from 0 on.
func inputOf(files []track.DoomedFile, paths func(track.DoomedFile) []string) (string, error) {
	input := make([]map[string]any, len(files))
	for i, d := range files {
		input[i] = map[string]any{
			"number": i, "track_id": d.TrackID, "file_version": d.FileVersion, "storage_key": d.Key(), "file_path": d.FilePath, "paths": paths(d),
		}
	}
	text, err := json.Marshal(input)
	return string(text), err
}

// numbers runs a statement that answers with some of the numbers below n, and tells which.
func (s *Store) numbers(ctx context.Context, n int, sql string, args ...any) (said []bool, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, append([]any{s.freshPlan()}, args...)...)
		if err != nil {
			return err
		}
		said = make([]bool, n)
		var number int
		_, err = pgx.ForEachRow(rows, []any{&number}, func() error { said[number] = true; return nil })
		return err
	})
	return said, err
}

// IsMarked is that of migrate.Purges.
func (s *Store) IsMarked(ctx context.Context, files []track.DoomedFile) (marked []bool, err error) {
	input, err := inputOf(files, func(d track.DoomedFile) []string { return d.Marks })
	if err == nil {
		marked, err = s.numbers(ctx, len(files), s.sql("are_marked"), input)
	}
	return marked, s.failure("look at marks once more", err)
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
	type needed struct {
		id   track.ID
		path string
	}
	needs := pages(ctx, s, listing{"list files", s.sql("local_paths"), []any{grace}}, track.ID{}, func(row pgx.CollectableRow) (n needed, err error) {
		err = row.Scan(&n.id, &n.path)
		return n, err
	}, func(n needed) track.ID { return n.id })
	return func(yield func(string, error) bool) {
		for n, err := range needs {
			if !yield(n.path, err) {
				return
			}
		}
	}
}
