package pgstore

import (
	"context"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"trackstore/shared/track"
)

// Recorded yields all tracks on S3 that are not deleted, with the size and the checksum
// that are recorded of their objects, if any.
func (s *Store) Recorded(ctx context.Context) iter.Seq2[track.Lease, error] {
	return s.leases(ctx, "list tracks on S3", `
		SELECT t.id, t.file_version, coalesce(t.file_path, ''), t.storage_key, coalesce(t.storage_version_id, ''),
			coalesce(m.size, 0), coalesce(m.crc64nvme::text, ''), m.purged_at IS NOT NULL
		FROM tracks t LEFT JOIN track_migrations m
			ON m.track_id = t.id AND m.storage_key = t.storage_key AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL
		WHERE t.storage_backend = 's3' AND t.deleted_at IS NULL
		ORDER BY t.id`)
}

// Stored yields all tracks that have bytes and are not deleted. Of those on S3, FilePath is
// the local copy; of local ones, Key is empty.
func (s *Store) Stored(ctx context.Context) iter.Seq2[track.Lease, error] {
	return s.leases(ctx, "list tracks", `
		SELECT t.id, t.file_version, coalesce(t.file_path, ''), CASE t.storage_backend WHEN 's3' THEN t.storage_key ELSE '' END,
			CASE t.storage_backend WHEN 's3' THEN coalesce(t.storage_version_id, '') ELSE '' END, 0::bigint, '',
			t.storage_backend = 's3' AND m.purged_at IS NOT NULL
		FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
		WHERE t.deleted_at IS NULL AND (t.storage_backend = 's3' OR t.file_path <> '')
		ORDER BY t.id`)
}

// Record keeps the size and the checksum of an object of which nothing is recorded, while
// its track's row names it and nobody moves the track. Whether a local copy of it was
// purged is not known then, so it counts as purged.
func (s *Store) Record(ctx context.Context, l track.Lease, size int64, checksum string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, `
			INSERT INTO track_migrations AS m
				(track_id, direction, file_version, state, storage_key, size, crc64nvme, finished_at, purged_at)
			SELECT id, 'to_s3', file_version, 'migrated', storage_key, $3::bigint, $4, now(), now() FROM tracks
			WHERE id = $1 AND storage_backend = 's3' AND storage_key = $2
			ON CONFLICT (track_id) DO UPDATE
			SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
				storage_key = excluded.storage_key, size = excluded.size, crc64nvme = excluded.crc64nvme, error = NULL,
				finished_at = excluded.finished_at, purged_at = excluded.purged_at
			WHERE m.state <> 'leased' AND (m.storage_key IS DISTINCT FROM excluded.storage_key OR m.crc64nvme IS NULL)`,
			l.TrackID, l.Key, size, checksum)
		return err
	})
	return s.failure("record a checksum", err)
}

// Names reports whether a track's row is still as l says.
func (s *Store) Names(ctx context.Context, l track.Lease) (names bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			SELECT EXISTS (SELECT FROM tracks WHERE id = $1 AND deleted_at IS NULL
				AND file_version = $2 AND coalesce(file_path, '') = $3
				AND CASE storage_backend WHEN 's3' THEN storage_key ELSE '' END = $4)`,
			l.TrackID, l.FileVersion, l.FilePath, l.Key).Scan(&names)
	})
	return names, s.failure("look a track up", err)
}

// UseOf tells what an object (backend s3), or a file by one of its paths (local), is for.
func (s *Store) UseOf(ctx context.Context, backend string, names ...string) (track.Use, error) {
	var use track.Use
	var since *time.Time
	sql := useOfObject
	if backend == track.Local {
		sql = useOfFile
	}
	// A file may have a name that is no text; no row can.
	known := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !utf8.ValidString(name) })
	err := retry(ctx, func() error {
		return s.pool.QueryRow(ctx, sql, known, trackOf(names[0])).Scan(
			&use.Named, &use.Pending, &use.Leased, &use.TrackID, &since, &use.Reason)
	})
	if since != nil {
		use.Since = *since
	}
	return use, s.failure("see what "+names[0]+" is for", err)
}

// LeftPaths yields the paths of files that tracks gave up within grace: of deleted ones, and
// those that are discarded.
func (s *Store) LeftPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error] {
	return s.paths(ctx, `
		SELECT file_path FROM tracks WHERE file_path <> '' AND deleted_at > now() - $1::interval
		UNION ALL
		SELECT storage_key FROM track_discards
		WHERE backend = 'local' AND gone_at IS NULL AND discarded_at > now() - $1::interval`, grace)
}

// trackOf returns the track whose id a key holds, or the nil UUID.
func trackOf(key string) track.ID {
	parts := strings.Split(key, "/")
	if len(parts) < 3 {
		return track.ID{}
	}
	id, err := track.ParseID(parts[1])
	if err != nil {
		return track.ID{}
	}
	return id
}

const useOfObject = `
	SELECT
		EXISTS (SELECT FROM tracks WHERE id = $2 AND storage_backend = 's3' AND storage_key = ANY ($1::text[]) AND deleted_at IS NULL),
		EXISTS (SELECT FROM track_uploads WHERE storage_key = ANY ($1::text[]) AND backend = 's3' AND state = 'pending'),
		EXISTS (SELECT FROM track_migrations WHERE track_id = $2 AND state = 'leased' AND lease_expires_at > now()),
		$2::uuid, latest.since, coalesce(latest.reason, '')
	FROM (SELECT) AS one LEFT JOIN LATERAL (
		SELECT discarded_at AS since, reason FROM track_discards WHERE backend = 's3' AND storage_key = ANY ($1::text[])
		UNION ALL
		SELECT deleted_at, 'deleted' FROM tracks WHERE id = $2 AND storage_key = ANY ($1::text[]) AND deleted_at IS NOT NULL
		UNION ALL
		SELECT finished_at, 'rolled back' FROM track_migrations
		WHERE track_id = $2 AND direction = 'to_local' AND state = 'migrated' AND storage_key = ANY ($1::text[])
		ORDER BY 1 DESC LIMIT 1) AS latest ON true`

const useOfFile = `
	SELECT
		EXISTS (SELECT FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
			WHERE t.file_path = ANY ($1::text[]) AND t.file_path <> '' AND t.deleted_at IS NULL AND (t.storage_backend = 'local' OR m.purged_at IS NULL)),
		EXISTS (SELECT FROM track_uploads WHERE storage_key = ANY ($1::text[]) AND backend = 'local' AND state = 'pending'),
		EXISTS (SELECT FROM track_migrations WHERE track_id = $2 AND state = 'leased' AND lease_expires_at > now()),
		$2::uuid, latest.since, coalesce(latest.reason, '')
	FROM (SELECT) AS one LEFT JOIN LATERAL (
		SELECT discarded_at AS since, reason FROM track_discards WHERE backend = 'local' AND storage_key = ANY ($1::text[])
		UNION ALL
		SELECT deleted_at, 'deleted' FROM tracks WHERE file_path = ANY ($1::text[]) AND file_path <> '' AND deleted_at IS NOT NULL
		ORDER BY 1 DESC LIMIT 1) AS latest ON true`
