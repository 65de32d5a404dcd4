package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

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

// A track's open uploads go with it: they take no more bytes, and no more of their user's
// places. They are locked before the track, as by settleUploads; one that is opened at this
// very moment is found to be of a deleted track when its bytes have come.
const abortUploadsOfTrack = `
WITH open AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE track_id = $1 AND state = 'pending'
		AND EXISTS (SELECT FROM tracks WHERE id = $1 AND creator_id = $2 AND deleted_at IS NULL)
	ORDER BY id FOR UPDATE
), aborted AS (
	UPDATE track_uploads u SET state = 'aborted', finished_at = now()
	FROM open WHERE u.id = open.id
	RETURNING u.*
)
INSERT INTO track_discards (track_id, backend, storage_key, reason)
SELECT track_id, backend, storage_key, 'deleted' FROM aborted ORDER BY backend, storage_key
ON CONFLICT (backend, storage_key) DO NOTHING`

// DeleteTrack marks one of a creator's tracks as deleted, and gives its open uploads up. Its
// bytes stay: the sweep removes them after the grace period, counted from the mark.
// track.ErrNotFound: there is no such track, or it is deleted already.
func (s *Store) DeleteTrack(ctx context.Context, creator, id track.ID) error {
	err := retry(ctx, func() error {
		var batch pgx.Batch // one transaction
		batch.Queue(abortUploadsOfTrack, id, creator)
		batch.Queue(`
			UPDATE tracks SET deleted_at = now()
			WHERE id = $1 AND creator_id = $2 AND deleted_at IS NULL RETURNING id`, id, creator,
		).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return s.failure("delete track "+id.String(), err)
}
