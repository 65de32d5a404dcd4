package pgstore

import (
	"context"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Track returns one of a creator's tracks; track.ErrNotFound also for one that is
// deleted or somebody else's.
func (s *Store) Track(ctx context.Context, creator, id track.ID) (track.Track, error) {
	var t track.Track
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, s.sql("track"), id, creator).Scan(&t.ID, &t.CreatorID, &t.Title, &t.Status, &t.Format, &t.ContentType, &t.Size, &t.CreatedAt, &t.UpdatedAt,
			&t.StorageBackend, &t.StorageKey, &t.StorageVersionID, &t.FilePath, &t.FileVersion)
	})
	return t, s.failure("track "+id.String(), err)
}

// DeleteTrack marks one of a creator's tracks as deleted, and gives its open uploads up. Its
// bytes stay: the sweep removes them after the grace period, counted from the mark.
// track.ErrNotFound: there is no such track, or it is deleted already.
func (s *Store) DeleteTrack(ctx context.Context, creator, id track.ID) error {
	err := retry(ctx, func() error {
		var batch pgx.Batch // one transaction
		batch.Queue(s.sql("abort_uploads_of_track"), id, creator)
		batch.Queue(s.sql("delete_track"), id, creator).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return s.failure("delete track "+id.String(), err)
}
