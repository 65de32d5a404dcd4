package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Activity is that of migrate.Ledger.
func (s *Store) Activity(ctx context.Context, ids []track.ID) (track.Activity, error) {
	var activity track.Activity
	var expiry *time.Duration
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("activity"), s.freshPlan(), len(ids) > 0, texts(ids)).
			Scan(&activity.Direction, &activity.Leased, &expiry)
	})
	if expiry != nil {
		activity.NextExpiry = *expiry
	}
	return activity, s.failure("see who is at work", err)
}

// Up to exactly tracks are counted one by one, if that does not take longer than countPatience: near the end
// of a migration it walks over all that an index remembers of it.
const (
	exactly       = 100_000
	countPatience = 2 * time.Second
)

// Remaining is that of migrate.Ledger. Above 100,000, or where counting would take long, it returns
// the planner's estimate of the rows that are still on that side.
func (s *Store) Remaining(ctx context.Context, d track.Direction, which track.Selection) (int64, error) {
	counting, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	n, err := s.remaining(counting, d, which, exactly)
	if err != nil && counting.Err() != nil && ctx.Err() == nil {
		return s.remaining(ctx, d, which, 0)
	}
	return n, err
}

func (s *Store) remaining(ctx context.Context, d track.Direction, which track.Selection, bound int64) (n int64, err error) {
	sql, args := s.sql("count_remaining_to_s3"), selected(which)
	if d == track.ToLocal {
		sql, args = s.sql("count_remaining_to_local"), append(args, which.Uploaded)
	}
	args = append([]any{s.freshPlan()}, append(args, bound)...)
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, sql, args...).Scan(&n)
	})
	return n, s.failure("count what remains", err)
}

// ToWrite is that of migrate.Ledger.
func (s *Store) ToWrite(ctx context.Context, d track.Direction, which track.Selection, limit int) (files, bytes int64, err error) {
	if d != track.ToLocal {
		return 0, 0, nil
	}
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("count_to_restore"), append([]any{s.freshPlan()}, append(selected(which), which.Uploaded, int64(limit))...)...).
			Scan(&files, &bytes)
	})
	return files, bytes, s.failure("count what a rollback writes", err)
}

// selected are the first two parameters of statements that cover some tracks, or all.
func selected(which track.Selection) []any {
	return []any{len(which.TrackIDs) > 0, texts(which.TrackIDs)}
}

// Candidates yields the tracks that could be claimed now or when their lease is over, in
// the order of their ids, without leasing them. It ends after an error.
func (s *Store) Candidates(ctx context.Context, d track.Direction, which track.Selection) iter.Seq2[track.Candidate, error] {
	sql, args := s.sql("candidates_to_s3"), selected(which)
	if d == track.ToLocal {
		sql, args = s.sql("candidates_to_local"), append(args, which.Uploaded)
	}
	return pages(ctx, s, listing{"list candidates", sql, args}, track.ID{}, func(row pgx.CollectableRow) (c track.Candidate, err error) {
		var r copiesRow
		if err = row.Scan(append(r.targets(), &c.Size)...); err != nil {
			return c, err
		}
		c.Copies, err = r.copies()
		return c, err
	}, func(c track.Candidate) track.ID { return c.TrackID })
}

// Failures yields the tracks whose current file could not be moved, in the order of their
// ids; in direction d only, where it is given. It ends after an error.
func (s *Store) Failures(ctx context.Context, d track.Direction, which track.Selection) iter.Seq2[track.MigrationFailure, error] {
	args := append(selected(which), string(d))
	return list(ctx, s, listing{"list failures", s.sql("failures"), args}, func(row pgx.CollectableRow) (f track.MigrationFailure, err error) {
		err = row.Scan(&f.TrackID, &f.FilePath, &f.State, &f.Error)
		return f, err
	})
}

// Locate is that of migrate.Directions.
func (s *Store) Locate(ctx context.Context, ids []track.ID) (map[track.ID]string, error) {
	located := map[track.ID]string{}
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("locate_tracks"), texts(ids))
		if err != nil {
			return err
		}
		var id track.ID
		var backend string
		_, err = pgx.ForEachRow(rows, []any{&id, &backend}, func() error {
			located[id] = backend
			return nil
		})
		return err
	})
	return located, s.failure("locate tracks", err)
}
