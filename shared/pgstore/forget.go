package pgstore

import (
	"context"
	"time"
)

// ForgetUploads removes up to limit tickets that were over longer than age ago, and returns how many it did. It may be
// repeated.
func (s *Store) ForgetUploads(ctx context.Context, age time.Duration, limit int) (int64, error) {
	return s.forget(ctx, "forget finished uploads", "forget_uploads", limit, age)
}

// ForgetDiscards drops up to limit notes of bytes that have been gone for longer than
// grace, and that no worker can have seen; of a track whose row is gone, too, all that is known. It returns the number of
// notes.
func (s *Store) ForgetDiscards(ctx context.Context, grace time.Duration, limit int) (int64, error) {
	return s.forget(ctx, "forget discards", "forget_discards", limit, grace)
}

// ForgetEvents removes up to limit events that are older than delivered and at their end for every receiver, or older
// than ignored whatever their state, and returns their number.
func (s *Store) ForgetEvents(ctx context.Context, delivered, ignored time.Duration, limit int) (int64, error) {
	return s.forget(ctx, "forget events", "forget_events", limit, delivered, ignored)
}

// ForgetSessions removes up to limit companion sessions that are over, and returns their number.
func (s *Store) ForgetSessions(ctx context.Context, limit int) (int64, error) {
	return s.forget(ctx, "forget companion sessions", "forget_sessions", limit)
}

func (s *Store) forget(ctx context.Context, op, statement string, limit int, args ...any) (n int64, err error) {
	err = retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, limited(s.sql(statement), limit), args...)
		n = tag.RowsAffected()
		return err
	})
	return n, s.failure(op, err)
}
