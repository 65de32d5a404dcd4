package pgstore

import (
	"context"
	"encoding/json"
	"iter"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Purgeable is that of migrate.Purges.
func (s *Store) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Copies, error] {
	return s.copies(ctx, track.ID{}, listing{"list local copies", s.sql("purgeable"), []any{grace}})
}

// Mark is that of migrate.Purges.
func (s *Store) Mark(ctx context.Context, doomed []track.DoomedFile, grace time.Duration) ([]bool, error) {
	return s.which(ctx, "mark local copies", s.sql("mark_local_copies"), doomed, marksOf, grace)
}

// InUse is that of migrate.Purges.
func (s *Store) InUse(ctx context.Context, files []track.DoomedFile, grace time.Duration) ([]bool, error) {
	return s.which(ctx, "see who uses files", s.sql("files_in_use"), files, namesOf, grace)
}

// IsMarked is that of migrate.Purges.
func (s *Store) IsMarked(ctx context.Context, files []track.DoomedFile) ([]bool, error) {
	return s.which(ctx, "look at marks once more", s.sql("are_marked"), files, marksOf)
}

func marksOf(d track.DoomedFile) []string { return d.Marks }

func namesOf(d track.DoomedFile) []string { return d.Names }

// which runs a statement that takes files, with some of their paths, as the last of its arguments, and returns for each file
// whether its number is in the answer.
func (s *Store) which(ctx context.Context, op, sql string, files []track.DoomedFile, paths func(track.DoomedFile) []string, args ...any) (isOne []bool, err error) {
	input := make([]map[string]any, len(files))
	for i, d := range files {
		input[i] = map[string]any{
			"number": i, "track_id": d.TrackID, "file_version": d.FileVersion, "storage_key": d.Key(), "file_path": d.FilePath, "paths": paths(d),
		}
	}
	text, err := json.Marshal(input)
	if err != nil {
		return nil, err
	}
	args = slices.Concat([]any{s.freshPlan()}, args, []any{string(text)})
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		isOne = make([]bool, len(files))
		var number int
		_, err = pgx.ForEachRow(rows, []any{&number}, func() error { isOne[number] = true; return nil })
		return err
	})
	return isOne, s.failure(op, err)
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
