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
	rows, err := s.pool.Query(ctx, `
		SELECT t.id, coalesce(t.title::text, ''), coalesce(t.status::text, ''), coalesce(t.format::text, ''),
			coalesce(t.content_type::text, ''), coalesce(t.file_size, 0), t.created_at, t.updated_at,
			t.storage_backend, coalesce(m.state, ''), coalesce(m.error, '')
		FROM tracks t
		-- A state belongs to one file version: a replaced file starts anew.
		LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
		WHERE t.deleted_at IS NULL
		ORDER BY t.created_at DESC, t.id DESC LIMIT $1`, limit)
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
