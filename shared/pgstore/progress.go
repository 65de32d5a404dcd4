package pgstore

import (
	"context"
	"errors"
	"iter"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Progress counts tracks by where they lie, and moves by their state. Deleted tracks and
// those without a file are left out, and states that are of an older file version.
func (s *Store) Progress(ctx context.Context) (track.Progress, error) {
	p := track.Progress{States: map[track.MigrationState]int64{}}
	err := retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, `
			SELECT t.storage_backend, CASE WHEN m.state = 'leased' AND m.lease_expires_at <= now() THEN '' ELSE coalesce(m.state, '') END, count(*)
			FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
				AND (m.state <> 'migrated' OR m.direction = CASE t.storage_backend WHEN 's3' THEN 'to_s3' ELSE 'to_local' END)
			WHERE t.deleted_at IS NULL AND (t.storage_backend = 's3' OR t.file_path <> '')
			GROUP BY 1, 2`, s.freshPlan())
		if err != nil {
			return err
		}
		p.Local, p.S3, p.Leased = 0, 0, 0
		clear(p.States)
		var backend string
		var state track.MigrationState
		var n int64
		_, err = pgx.ForEachRow(rows, []any{&backend, &state, &n}, func() error {
			if backend == track.S3 {
				p.S3 += n
			} else {
				p.Local += n
			}
			if state == track.Leased {
				p.Leased += n
			}
			if state != "" {
				p.States[state] += n
			}
			return nil
		})
		return err
	})
	return p, s.failure("count tracks", err)
}

// Candidates yields the tracks that could be claimed now or when their lease is over, in
// the order of their ids, without leasing them. It ends after an error.
func (s *Store) Candidates(ctx context.Context, d track.Direction, ids []track.ID, uploaded bool) iter.Seq2[track.Lease, error] {
	from := remainingToS3
	if d == track.ToLocal {
		from = remainingToLocal
	}
	return func(yield func(track.Lease, error) bool) {
		rows, err := s.pool.Query(ctx, `
			SELECT t.id, t.file_version, coalesce(t.file_path, ''), coalesce(t.storage_key, ''), coalesce(t.storage_version_id, ''),
				coalesce(t.file_size, 0) `+from+` AND (NOT $1::boolean OR t.id = ANY ($2::text[]::uuid[]))
			ORDER BY t.id`, s.freshPlan(), len(ids) > 0, texts(ids), uploaded)
		stream(rows, err, func(err error) error { return s.failure("list candidates", err) }, yield,
			func(row pgx.CollectableRow) (l track.Lease, err error) {
				err = row.Scan(&l.TrackID, &l.FileVersion, &l.FilePath, &l.Key, &l.VersionID, &l.Size)
				return l, err
			})
	}
}

// Rate returns what the last 10,000 moves achieved: tracks and bytes in a second in which
// anything was being moved at all. Both are 0 where nothing was moved yet.
func (s *Store) Rate(ctx context.Context) (tracks, bytes float64, err error) {
	err = retry(ctx, func() error {
		// A record that a lease gave back has been started anew, after it was finished.
		return s.pool.QueryRow(ctx, `
			WITH last AS (
				SELECT size, least(started_at, finished_at) AS started_at, finished_at FROM track_migrations
				WHERE state = 'migrated' AND storage_key LIKE 'tracks/%'
				ORDER BY finished_at DESC LIMIT 10000
			), busy AS (
				SELECT sum(extract(epoch FROM upper(span) - lower(span)))::float8 AS seconds
				FROM (SELECT unnest(range_agg(tstzrange(started_at, finished_at))) AS span FROM last) AS spans
			)
			SELECT coalesce(count(*) / nullif(seconds, 0), 0), coalesce(sum(size)::float8 / nullif(seconds, 0), 0)
			FROM last, busy GROUP BY seconds`, s.freshPlan()).Scan(&tracks, &bytes)
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, 0, nil
	}
	return tracks, bytes, s.failure("measure the rate of earlier moves", err)
}
