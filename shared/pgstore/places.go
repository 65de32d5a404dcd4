package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"trackstore/shared/track"
)

// Place returns the place of a kind that trackstore works with; track.ErrNotFound where none
// is recorded yet.
func (s *Store) Place(ctx context.Context, kind track.PlaceKind) (p track.Place, err error) {
	err = retry(ctx, func() error { return scanPlace(s.pool.QueryRow(ctx, s.sql("current_place"), kind), &p) })
	return p, s.failure(fmt.Sprintf("the %s that is recorded", kind), err)
}

// RecordPlace records the place of its kind where none is recorded, and returns the one that
// is by then, which may be another.
func (s *Store) RecordPlace(ctx context.Context, p track.Place) (recorded track.Place, err error) {
	err = retry(ctx, func() error {
		err := scanPlace(s.pool.QueryRow(ctx, s.sql("record_place"), p.Kind, p.ID, p.Name, p.IsMarked), &recorded)
		if errors.Is(err, pgx.ErrNoRows) { // another program was first, this moment
			err = scanPlace(s.pool.QueryRow(ctx, s.sql("current_place"), p.Kind), &recorded)
		}
		return err
	})
	return recorded, s.failure("record the "+string(p.Kind), err)
}

// NotePlace notes what a recorded place turned out to be. Where the record is another one by
// now, nothing changes.
func (s *Store) NotePlace(ctx context.Context, was track.Place, is track.Place) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("note_place"), was.Kind, was.ID, is.ID, is.Name, is.IsMarked)
		return err
	})
	return s.failure("note the "+string(was.Kind), err)
}

// ReplacePlace makes a place the one of its kind, whichever was before. track.ErrExists: its
// id is that of a place of another kind.
func (s *Store) ReplacePlace(ctx context.Context, p track.Place) error {
	err := retry(ctx, func() error {
		return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, s.sql("retire_place"), p.Kind); err != nil {
				return err
			}
			var id track.ID
			return tx.QueryRow(ctx, s.sql("reinstate_place"), p.Kind, p.ID, p.Name, p.IsMarked).Scan(&id)
		})
	})
	return s.failure("record another "+string(p.Kind), err)
}

func scanPlace(row pgx.Row, p *track.Place) error {
	return row.Scan(&p.Kind, &p.ID, &p.Name, &p.IsMarked)
}

// LocalSample returns up to 2,000 of the paths that local tracks name; none where no track is
// local.
func (s *Store) LocalSample(ctx context.Context) (paths []string, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("local_sample"))
		if err != nil {
			return err
		}
		paths, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return paths, s.failure("list files of local tracks", err)
}

// NameBuckets makes the tracks that lie on S3 and name no bucket name this one, a thousand at
// a time, until ctx ends. A row that is locked, or that the database refuses to change, is left
// as it is: it means the same bucket. It may be called again, and by several at once.
func (s *Store) NameBuckets(ctx context.Context, bucket string) error {
	const op = "let tracks name their bucket"
	var after *string
	for {
		rows, err := s.pool.Query(ctx, s.sql("unnamed_buckets"), after)
		if err != nil {
			return s.failure(op, err)
		}
		ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil || len(ids) == 0 {
			return s.failure(op, err)
		}
		if err := s.nameBucket(ctx, bucket, ids); err != nil {
			return s.failure(op, err)
		}
		after = &ids[len(ids)-1]
	}
}

// nameBucket halves what the database refuses, until the rows that it refuses are alone.
func (s *Store) nameBucket(ctx context.Context, bucket string, ids []string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("name_bucket"), ids, bucket)
		return err
	})
	refused := (*pgconn.PgError)(nil)
	if !errors.As(err, &refused) || track.IsRetryable(classify(err)) {
		return err
	}
	if len(ids) == 1 {
		return nil
	}
	half := len(ids) / 2
	if err := s.nameBucket(ctx, bucket, ids[:half]); err != nil {
		return err
	}
	return s.nameBucket(ctx, bucket, ids[half:])
}
