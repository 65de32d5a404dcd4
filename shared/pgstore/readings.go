package pgstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// BeginReading returns how far the bytes of an open upload were read, in the version of r, and
// has them for the caller alone for hold. track.ErrLocked: somebody else reads them, or the
// upload is given up.
func (s *Store) BeginReading(ctx context.Context, r track.Reading, hold time.Duration) (track.Reading, error) {
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("begin_reading"), r.UploadID, r.VersionID, hold).Scan(&r.Offset, &r.State)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return r, fmt.Errorf("read upload %s: %w", r.UploadID, track.ErrLocked)
	}
	return r, s.failure("read upload "+r.UploadID.String(), err)
}

// SaveReading keeps how far the bytes of an upload were read, and has them for another hold; 0
// sets them free. It may be repeated.
func (s *Store) SaveReading(ctx context.Context, r track.Reading, hold time.Duration) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, s.sql("save_reading"), r.UploadID, r.VersionID, r.Offset, r.State, hold)
		return err
	})
	return s.failure("keep how far upload "+r.UploadID.String()+" was read", err)
}
