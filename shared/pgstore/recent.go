package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// RecentTrack is a track with where it stands in the migration.
type RecentTrack struct {
	track.Track
	MigrationState string // empty: it was never claimed
	MigrationError string
}

// RecentTracks returns the newest tracks of all creators, deleted ones left out.
func (s *Store) RecentTracks(ctx context.Context, limit int) ([]RecentTrack, error) {
	rows, err := s.pool.Query(ctx, s.sql("recent_tracks"), limit)
	if err != nil {
		return nil, s.failure("list recent tracks", err)
	}
	tracks, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (t RecentTrack, err error) {
		err = row.Scan(&t.ID, &t.Title, &t.Status, &t.Format, &t.ContentType, &t.Size, &t.CreatedAt, &t.UpdatedAt,
			&t.StorageBackend, &t.MigrationState, &t.MigrationError)
		return t, err
	})
	return tracks, s.failure("list recent tracks", err)
}
