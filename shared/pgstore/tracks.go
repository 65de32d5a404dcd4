package pgstore

import (
	"context"

	"trackstore/shared/track"
)

// Track returns one of a creator's tracks; track.ErrNotFound also for one that is
// deleted or somebody else's. The columns may be a platform's own, hence the casts.
func (s *Store) Track(ctx context.Context, creator, id track.ID) (track.Track, error) {
	var t track.Track
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			SELECT id, creator_id, coalesce(title::text, ''), coalesce(status::text, ''), coalesce(format::text, ''),
				coalesce(content_type::text, ''), coalesce(file_size, 0), created_at, updated_at,
				storage_backend, storage_key, coalesce(storage_version_id, ''), coalesce(file_path, ''), file_version
			FROM tracks WHERE id = $1 AND creator_id = $2 AND deleted_at IS NULL`, id, creator,
		).Scan(&t.ID, &t.CreatorID, &t.Title, &t.Status, &t.Format, &t.ContentType, &t.Size, &t.CreatedAt, &t.UpdatedAt,
			&t.StorageBackend, &t.StorageKey, &t.StorageVersionID, &t.FilePath, &t.FileVersion)
	})
	return t, s.failure("track "+id.String(), err)
}

// DeleteTrack marks one of a creator's tracks as deleted. Its bytes stay: the sweep
// removes them after the grace period, counted from the mark. track.ErrNotFound: there
// is no such track, or it is deleted already.
func (s *Store) DeleteTrack(ctx context.Context, creator, id track.ID) error {
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			UPDATE tracks SET deleted_at = now()
			WHERE id = $1 AND creator_id = $2 AND deleted_at IS NULL RETURNING id`, id, creator).Scan(&id)
	})
	return s.failure("delete track "+id.String(), err)
}
