package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Track returns one of a creator's tracks; track.ErrNotFound also for one that is
// deleted or somebody else's.
func (s *Store) Track(ctx context.Context, creator, id track.ID) (t track.Track, err error) {
	err = retry(ctx, func() (err error) {
		t, err = scanTrack(s.pool.QueryRow(ctx, s.sql("track"), id, creator))
		return err
	})
	return t, s.failure("track "+id.String(), err)
}

// TracksByID returns tracks in no particular order, whoever's they are; those that are not
// there or are deleted are left out.
func (s *Store) TracksByID(ctx context.Context, ids []track.ID) (tracks []track.Track, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, s.sql("tracks_by_id"), texts(ids))
		if err != nil {
			return err
		}
		tracks, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (track.Track, error) { return scanTrack(row) })
		return err
	})
	return tracks, s.failure("tracks", err)
}

// SetTitle gives one of a creator's tracks another title, and returns the track;
// track.ErrNotFound also for one that is deleted or somebody else's; track.ErrLocked;
// track.ErrRefused where the platform's table does not take the title. It may be repeated.
func (s *Store) SetTitle(ctx context.Context, creator, id track.ID, title string) (t track.Track, err error) {
	err = retry(ctx, func() (err error) {
		t, err = scanTrack(s.pool.QueryRow(ctx, s.sql("set_title"), id, creator, title))
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		if _, there := s.Track(ctx, creator, id); there == nil {
			err = &track.RefusedError{Text: "the row stays as it was, by a trigger or a policy"}
		}
	}
	return t, s.refusable("set the title of track "+id.String(), err)
}

func scanTrack(row pgx.Row) (t track.Track, err error) {
	err = row.Scan(&t.ID, &t.CreatorID, &t.Title, &t.Status, &t.Format, &t.ContentType, &t.Size, &t.CreatedAt, &t.UpdatedAt,
		&t.StorageBackend, &t.StorageKey, &t.StorageVersionID, &t.StorageBucket, &t.FilePath, &t.FileVersion)
	return t, err
}

// DeleteTrack marks one of a creator's tracks as deleted, and gives its open uploads up. Its
// bytes stay: the sweep removes them after the grace period, counted from the mark.
// track.ErrNotFound: there is no such track, or it is deleted already. track.ErrLocked;
// track.ErrRefused: the platform's table keeps the row as it is, and nothing has changed.
func (s *Store) DeleteTrack(ctx context.Context, creator, id track.ID) error {
	err := retry(ctx, func() error {
		var batch pgx.Batch // one transaction
		batch.Queue(s.sql("abort_uploads_of_track"), id, creator)
		batch.Queue(s.sql("delete_track"), id, creator).QueryRow(func(row pgx.Row) error { return row.Scan(&id) })
		return s.pool.SendBatch(ctx, &batch).Close()
	})
	return s.refusable("delete track "+id.String(), err)
}
