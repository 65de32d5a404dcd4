package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Progress counts tracks by where they lie, and moves by their state. Deleted tracks and
// those without a file are left out, and states that are of an older file version.
func (s *Store) Progress(ctx context.Context) (track.Progress, error) {
	p := track.Progress{States: map[track.MigrationState]int64{}}
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("progress"), s.freshPlan())
		if err != nil {
			return err
		}
		p.Local, p.S3, p.Leased = 0, 0, 0
		clear(p.States)
		var backend string
		var state track.MigrationState
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&backend, &state, &n}, func() error {
			if backend == track.S3 {
				p.S3 += n
			} else {
				p.Local += n
			}
			if state == track.Leased {
				p.Leased += n
			}
			if state != "" {
				p.States[state] += n
			}
			return nil
		})
		return err
	})
	return p, s.failure("count tracks", err)
}

// Rate returns what the last 10,000 moves achieved: tracks and bytes in a second in which
// anything was being moved at all. Both are 0 where nothing was moved yet.
func (s *Store) Rate(ctx context.Context) (tracks, bytes float64, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("rate_of_moves"), s.freshPlan()).Scan(&tracks, &bytes)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	return tracks, bytes, s.failure("measure the rate of earlier moves", err)
}
