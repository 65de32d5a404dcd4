package pgstore

import (
	"context"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// Purgeable yields the tracks that were moved to S3 longer than grace ago, whose row still
// names that object, and whose local copy is not marked for removal.
func (s *Store) Purgeable(ctx context.Context, grace time.Duration) iter.Seq2[track.Lease, error] {
	return s.leases(ctx, "list local copies", `
		SELECT t.id, t.file_version, t.file_path, t.storage_key, coalesce(t.storage_version_id, ''), m.size, m.crc64nvme::text, false
		FROM track_migrations m JOIN tracks t ON t.id = m.track_id
		WHERE `+isPurgeable+` AND m.finished_at <= now() - $1::interval
		ORDER BY t.id`, grace)
}

// A local copy that nothing speaks against removing, as far as its own track is concerned.
// A rollback that has begun has made the state 'leased'.
const isPurgeable = `m.state = 'migrated' AND m.direction = 'to_s3' AND m.purged_at IS NULL AND m.file_version = t.file_version
	AND t.storage_backend = 's3' AND t.storage_key = m.storage_key AND t.deleted_at IS NULL AND t.file_path <> ''`

// Mark marks a track's local copy for removal, if the track is still as l says and its flip
// is older than grace. It reports whether it did. The same statement notes the file, by
// these paths, among the discards, so that a crash before the removal is made good by the
// next purge, or by the sweep once a grace is over.
func (s *Store) Mark(ctx context.Context, l track.Lease, paths []string, grace time.Duration) (marked bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			WITH marked AS (
				UPDATE track_migrations m SET purged_at = now()
				FROM tracks t
				WHERE m.track_id = $1 AND t.id = m.track_id AND `+isPurgeable+` AND m.finished_at <= now() - $2::interval
					AND m.file_version = $3 AND m.storage_key = $4 AND t.file_path = $5
				RETURNING m.track_id
			), noted AS (
				INSERT INTO track_discards (track_id, backend, storage_key, reason, removed_at)
				SELECT track_id, 'local', path, 'purged', now() FROM marked, unnest($6::text[]) path ORDER BY path
				ON CONFLICT (backend, storage_key) DO UPDATE
				SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
					removed_at = excluded.removed_at, gone_at = NULL
			)
			SELECT EXISTS (SELECT FROM marked)`, l.TrackID, grace, l.FileVersion, l.Key, l.FilePath, paths).Scan(&marked)
	})
	return marked, s.failure("mark a local copy", err)
}

// InUse reports whether a track needs a file that it names by one of these paths: it is
// local; or a rollback of it is under way; or it was moved to S3 within grace, and a database
// that is restored may name the file again. A track that was deleted within grace needs what
// it did before. Once a mark is committed, whoever did not see it shows here.
func (s *Store) InUse(ctx context.Context, paths []string, grace time.Duration) (inUse bool, err error) {
	err = retry(ctx, func() error {
		return s.pool.QueryRow(ctx, `
			SELECT EXISTS (
				SELECT FROM tracks t LEFT JOIN track_migrations m ON m.track_id = t.id
				WHERE t.file_path = ANY ($2::text[]) AND t.file_path <> '' AND `+isKept+`
					AND (t.storage_backend = 'local' OR m.purged_at IS NULL
						AND (m.state = 'leased' AND m.direction = 'to_local' OR m.finished_at > now() - $1::interval)))`,
			grace, paths).Scan(&inUse)
	})
	return inUse, s.failure("see who uses a file", err)
}

// Unlinked notes that a marked local copy is gone.
func (s *Store) Unlinked(ctx context.Context, paths []string) error {
	err := retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, `
			UPDATE track_discards SET gone_at = now()
			WHERE backend = 'local' AND storage_key = ANY ($1::text[]) AND removed_at IS NOT NULL AND gone_at IS NULL`, paths)
		return err
	})
	return s.failure("note a removed local copy", err)
}

// Unfinished yields the local copies that a purge marked and did not note as gone. Only
// TrackID and FilePath are set.
func (s *Store) Unfinished(ctx context.Context) iter.Seq2[track.Lease, error] {
	return s.leases(ctx, "list marked local copies", `
		SELECT track_id, 0::bigint, storage_key, '', '', 0::bigint, '', true FROM track_discards
		WHERE backend = 'local' AND reason = 'purged' AND gone_at IS NULL`)
}

// LocalPaths yields the file_path of every local track that has one, and was not deleted
// longer than grace ago.
func (s *Store) LocalPaths(ctx context.Context, grace time.Duration) iter.Seq2[string, error] {
	return s.paths(ctx, `
		SELECT t.file_path FROM tracks t WHERE t.storage_backend = 'local' AND t.file_path <> '' AND `+isKept, grace)
}

// paths yields rows of a path.
func (s *Store) paths(ctx context.Context, sql string, args ...any) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		rows, err := s.pool.Query(ctx, sql, args...)
		stream(rows, err, func(err error) error { return s.failure("list files", err) }, yield, pgx.RowTo[string])
	}
}

// leases yields rows of track, version, path, key, object version, size, checksum, purged.
func (s *Store) leases(ctx context.Context, op, sql string, args ...any) iter.Seq2[track.Lease, error] {
	return func(yield func(track.Lease, error) bool) {
		rows, err := s.pool.Query(ctx, sql, append([]any{s.freshPlan()}, args...)...)
		stream(rows, err, func(err error) error { return s.failure(op, err) }, yield,
			func(row pgx.CollectableRow) (l track.Lease, err error) {
				err = row.Scan(&l.TrackID, &l.FileVersion, &l.FilePath, &l.Key, &l.VersionID, &l.Size, &l.Checksum, &l.Purged)
				return l, err
			})
	}
}
