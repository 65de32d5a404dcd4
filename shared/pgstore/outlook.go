package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Outlook tells in which direction tracks are to move, and how many are leased; of ids only,
// where these are given. Leases of the other direction count: where they end, tracks become
// claimable.
func (s *Store) Outlook(ctx context.Context, ids []track.ID) (track.Outlook, error) {
	var look track.Outlook
	var expiry *time.Duration
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			SELECT coalesce((SELECT direction FROM track_migration_direction), 'to_s3'),
				count(*), min(lease_expires_at) - now()
			FROM track_migrations WHERE state = 'leased' AND lease_expires_at > now()
				AND (NOT $1::boolean OR track_id = ANY ($2::text[]::uuid[]))`,
			s.freshPlan(), len(ids) > 0, texts(ids)).Scan(&look.Direction, &look.Leased, &expiry)
	})
	if expiry != nil {
		look.NextExpiry = *expiry
	}
	return look, s.failure("look at the leases", err)
}

// exactly is up to which number tracks are counted one by one.
const exactly = 100_000

// The rows that a worker of a direction would claim, now or when their lease is over:
// claimToS3 and claimToLocal, live leases included. $3 asks for uploaded tracks, too: to S3
// it makes no difference.
const (
	remainingToS3 = `FROM tracks t
		WHERE t.storage_backend = 'local' AND t.deleted_at IS NULL AND t.file_path <> '' AND $3::boolean IS NOT NULL
			AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = t.id
				AND m.direction = 'to_s3' AND m.file_version = t.file_version AND ` + isFailure + `)`
	remainingToLocal = `FROM tracks t
		WHERE t.storage_backend = 's3' AND t.deleted_at IS NULL AND ($3::boolean OR starts_with(t.storage_key, 'tracks/'))
			AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = t.id
				AND m.direction = 'to_local' AND m.file_version = t.file_version AND ` + isFailure + `)`
)

// Remaining counts the tracks that can be claimed or are leased; above 100,000 it returns
// the planner's estimate of the rows that are still on that side, and at least 100,000.
func (s *Store) Remaining(ctx context.Context, d track.Direction, ids []track.ID, uploaded bool) (n int64, err error) {
	from, index := remainingToS3, "tracks_storage_backend_local_idx"
	if d == track.ToLocal {
		from, index = remainingToLocal, "tracks_storage_backend_s3_idx"
	}
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			WITH counted AS (
				SELECT count(*) AS n FROM (SELECT `+from+`
					AND (NOT $1::boolean OR t.id = ANY ($2::text[]::uuid[])) LIMIT $4::bigint + 1) AS rows
			)
			SELECT CASE WHEN n <= $4 THEN n
				ELSE greatest($4, (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass($5))) END FROM counted`,
			s.freshPlan(), len(ids) > 0, texts(ids), uploaded, int64(exactly), index).Scan(&n)
	})
	return n, s.failure("count what remains", err)
}

// Failures yields the tracks whose current file could not be moved, in the order of their
// ids; in direction d only, and of ids only, where these are given. It ends after an error.
func (s *Store) Failures(ctx context.Context, d track.Direction, ids []track.ID) iter.Seq2[track.MigrationFailure, error] {
	return func(yield func(track.MigrationFailure, error) bool) {
		rows, err := s.pool.Query(ctx, `
			SELECT m.track_id, coalesce(t.file_path, ''), m.state, coalesce(m.error, '')
			FROM track_migrations m JOIN tracks t ON t.id = m.track_id AND t.file_version = m.file_version
			WHERE `+isFailure+` AND t.deleted_at IS NULL
				AND t.storage_backend = CASE m.direction WHEN 'to_s3' THEN 'local' ELSE 's3' END
				AND (NOT $1::boolean OR m.track_id = ANY ($2::text[]::uuid[])) AND $3 IN ('', m.direction)
			ORDER BY m.track_id`, s.freshPlan(), len(ids) > 0, texts(ids), string(d))
		stream(rows, err, func(err error) error { return s.failure("list failures", err) }, yield,
			func(row pgx.CollectableRow) (f track.MigrationFailure, err error) {
				err = row.Scan(&f.TrackID, &f.FilePath, &f.State, &f.Error)
				return f, err
			})
	}
}

// stream yields the rows of a query as they come.
func stream[T any](
	rows pgx.Rows, err error, failure func(error) error, yield func(T, error) bool, scan pgx.RowToFunc[T],
) {
	var none T
	if err != nil {
		yield(none, failure(err))
		return
	}
	defer rows.Close()
	for rows.Next() {
		value, err := scan(rows)
		if !yield(value, failure(err)) || err != nil {
			return
		}
	}
	if err := rows.Err(); err != nil {
		yield(none, failure(err))
	}
}

// Locate returns the storage backend of those of the tracks that exist and are not deleted.
func (s *Store) Locate(ctx context.Context, ids []track.ID) (map[track.ID]string, error) {
	located := map[track.ID]string{}
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, `
			SELECT id, storage_backend FROM tracks WHERE id = ANY ($1::text[]::uuid[]) AND deleted_at IS NULL`, texts(ids))
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
