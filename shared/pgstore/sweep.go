package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"trackstore/shared/track"
)

// UnsettledUploads returns up to limit uploads that are pending, those that end first,
// first, from the one after "after" on.
func (s *Store) UnsettledUploads(ctx context.Context, after track.Upload, limit int) ([]track.Upload, error) {
	return s.uploads(ctx, "pending uploads", `track_uploads
		WHERE state = 'pending' AND (expires_at, id) > ($1, $2::text::uuid) ORDER BY expires_at, id LIMIT $3`,
		after.ExpiresAt, after.ID.String(), limit)
}

// The bytes may still come, by a URL that is good for a moment longer: so they are noted
// for removal, by the statement that gives them up.
const expireUploads = `
WITH overdue AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE id = ANY ($1::text[]::uuid[]) AND state = 'pending' AND expires_at <= now()
	ORDER BY id FOR UPDATE
), expired AS (
	UPDATE track_uploads u SET state = 'expired', finished_at = now()
	FROM overdue WHERE u.id = overdue.id
	RETURNING u.*
), discarded AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'expired' FROM expired ORDER BY backend, storage_key
	ON CONFLICT (backend, storage_key) DO NOTHING
)
SELECT ` + uploadColumns + ` FROM expired`

// ExpireUploads expires those of the uploads that are pending and overdue, and returns them.
func (s *Store) ExpireUploads(ctx context.Context, ids []track.ID) ([]track.Upload, error) {
	expired, err := s.giveUp(ctx, expireUploads, ids)
	return expired, s.failure("expire uploads", err)
}

// UsedMultiparts returns the ids of those multipart uploads that somebody still sends
// parts to: a pending upload, or the live lease of a track whose file is being moved.
func (s *Store) UsedMultiparts(ctx context.Context, backend string, begun []track.Multipart) (used []string, err error) {
	keys, ids := make([]string, len(begun)), make([]string, len(begun))
	for i, m := range begun {
		keys[i], ids[i] = m.Key, m.ID
	}
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, `
			SELECT m.id FROM unnest($2::text[], $3::text[]) AS m (key, id)
			WHERE EXISTS (SELECT FROM track_uploads u
					WHERE u.state = 'pending' AND u.backend = $1::text AND u.storage_key = m.key
						AND (u.multipart_id IS NULL OR u.multipart_id = m.id))
				OR m.key LIKE 'tracks/%' AND EXISTS (SELECT FROM track_migrations l
					WHERE l.state = 'leased' AND l.lease_expires_at > now() AND l.track_id::text = split_part(m.key, '/', 2))`,
			backend, keys, ids)
		if err != nil {
			return err
		}
		used, err = pgx.CollectRows(rows, pgx.RowTo[string])
		return err
	})
	return used, s.failure("multipart uploads in use", err)
}

// DeletedBytes returns what up to limit tracks leave that were deleted longer than grace
// ago and are not noted yet, from the deletion after "after" on: the object and the file
// that the row names, and its folders, for whatever else is in them. Once noted, those of
// the folders tell for ever that the track was looked at.
func (s *Store) DeletedBytes(ctx context.Context, grace time.Duration, after track.Discard, limit int) (left []track.Discard, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, `
			WITH deleted AS MATERIALIZED (
				SELECT t.id, t.deleted_at, coalesce(t.storage_key, '') AS storage_key, coalesce(t.file_path, '') AS file_path
				FROM tracks t
				WHERE t.deleted_at <= now() - $1::interval AND (t.deleted_at, t.id) > ($2, $3::text::uuid)
					AND NOT EXISTS (SELECT FROM track_discards d WHERE d.backend = 's3' AND d.storage_key = 'uploads/' || t.id || '/')
				ORDER BY t.deleted_at, t.id LIMIT $4
			)
			SELECT 0::bigint, id, backend, key, 'deleted', deleted_at FROM (
				SELECT id, deleted_at, 's3' AS backend, storage_key AS key FROM deleted
				UNION ALL SELECT id, deleted_at, 'local', file_path FROM deleted
				UNION ALL SELECT id, deleted_at, 's3', 'uploads/' || id || '/' FROM deleted
				UNION ALL SELECT id, deleted_at, 's3', 'tracks/' || id || '/' FROM deleted
				UNION ALL SELECT id, deleted_at, 'local', 'uploads/' || id || '/' FROM deleted
				UNION ALL SELECT id, deleted_at, 'local', 'restored/' || id || '/' FROM deleted
			) AS bytes WHERE key <> '' ORDER BY deleted_at, id, backend, key`,
			grace, after.DiscardedAt, after.TrackID.String(), limit)
		if err != nil {
			return err
		}
		left, err = pgx.CollectRows(rows, pgx.RowToStructByPos[track.Discard])
		return err
	})
	return left, s.failure("deleted tracks", err)
}

// DueDiscards returns up to limit discards of a backend whose grace is over and whose
// bytes are not known to be gone, the oldest first, from the one after "after" on.
func (s *Store) DueDiscards(ctx context.Context, backend string, grace time.Duration, after track.Discard, limit int) (due []track.Discard, err error) {
	err = retry(ctx, func() error {
		rows, err := s.pool.Query(ctx, `
			SELECT id, track_id, backend, storage_key, reason, discarded_at FROM track_discards
			WHERE gone_at IS NULL AND backend = $1 AND discarded_at <= now() - $2::interval AND (discarded_at, id) > ($3, $4)
			ORDER BY discarded_at, id LIMIT $5`, backend, grace, after.DiscardedAt, after.ID, limit)
		if err != nil {
			return err
		}
		due, err = pgx.CollectRows(rows, pgx.RowToStructByPos[track.Discard])
		return err
	})
	return due, s.failure("due discards", err)
}

// NoteDiscards enters discards, those that are not there yet, and returns how many it did.
// A note of bytes that were gone before is of others, that had the same path.
func (s *Store) NoteDiscards(ctx context.Context, discards []track.Discard) (n int64, err error) {
	input, err := json.Marshal(removals(discards, nil))
	if err != nil {
		return 0, fmt.Errorf("note discards: %w", err)
	}
	err = retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, `
			INSERT INTO track_discards AS d (track_id, backend, storage_key, reason, discarded_at)
			SELECT DISTINCT ON (backend, key) track_id, backend, key, reason, discarded_at
			FROM jsonb_to_recordset($1::jsonb) AS i (track_id uuid, backend text, key text, reason text, discarded_at timestamptz)
			ORDER BY backend, key
			ON CONFLICT (backend, storage_key) DO UPDATE
			SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
				removed_at = NULL, gone_at = NULL
			WHERE d.gone_at < excluded.discarded_at`, string(input))
		n = tag.RowsAffected()
		return err
	})
	return n, s.failure("note discards", err)
}

// Whether something names the bytes of a note, or is about to: nothing is flipped to a name
// whose bytes were removed, for a grace. A folder is named by its track. A deleted row names
// what it did until its own grace is over. The note is locked first, as it is by whoever makes
// a row name bytes again: so either that row is seen here, or the mark is seen there and the
// row stays as it is. A note that was renewed meanwhile has a new grace, and is left out.
const checkDiscards = `
WITH input AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($2::jsonb) AS i (id bigint, discarded_at timestamptz, names text[])
), notes AS MATERIALIZED (
	SELECT d.id, d.track_id, d.backend, d.storage_key, d.removed_at, i.names
	FROM track_discards d JOIN input i ON i.id = d.id
	WHERE d.gone_at IS NULL AND d.discarded_at = i.discarded_at
	ORDER BY d.backend, d.storage_key FOR UPDATE OF d
), checked AS MATERIALIZED (
	SELECT n.id, CASE
		WHEN n.storage_key LIKE '%/' THEN EXISTS (SELECT FROM tracks t WHERE t.id = n.track_id AND ` + isKept + `)
		WHEN EXISTS (SELECT FROM track_uploads u WHERE u.storage_key = n.storage_key AND u.state = 'pending') THEN true
		-- The copy of a move that did not come to its end, and that the next one makes by the same name.
		WHEN n.removed_at IS NULL AND EXISTS (SELECT FROM tracks t
			WHERE t.id = n.track_id AND ` + isKept + ` AND CASE n.backend
				WHEN 's3' THEN t.storage_backend = 'local' AND starts_with(n.storage_key, 'tracks/' || t.id || '/' || t.file_version || '-')
				ELSE t.storage_backend = 's3' AND regexp_replace(n.storage_key, '\.[^./]*$', '') = 'restored/' || t.id || '/' || t.file_version
				END) THEN true
		WHEN n.backend = 's3' THEN EXISTS (SELECT FROM tracks t
			WHERE t.storage_backend = 's3' AND t.storage_key = n.storage_key AND ` + isKept + `)
		ELSE EXISTS (SELECT FROM tracks t
			WHERE t.file_path = ANY (n.names) AND t.file_path <> '' AND ` + isKept + `
				-- A row on S3 names the copy that it left on disk until a purge, which compares the object first.
				AND (t.storage_backend = 'local' OR EXISTS (SELECT FROM track_migrations m
					WHERE m.track_id = t.id AND m.purged_at IS NULL)))
		END AS named
	FROM notes n
)`

// Whether the bytes of track t stay: it is not deleted, or not longer than the grace, $1, ago.
const isKept = `(t.deleted_at IS NULL OR t.deleted_at > now() - $1::interval)`

// The mark comes before the removal (R6). A crash after it leaves a mark without removal;
// the next sweep looks and marks again. A row that is undeleted after its grace, at this
// very moment, is too late.
const markDiscards = checkDiscards + `, wanted AS (
	DELETE FROM track_discards d USING checked c WHERE d.id = c.id AND c.named RETURNING d.id
), marked AS (
	UPDATE track_discards d SET removed_at = coalesce(d.removed_at, now())
	FROM checked c WHERE d.id = c.id AND NOT c.named
	RETURNING d.id
)
SELECT id, false FROM wanted UNION ALL SELECT id, true FROM marked`

// MarkDiscards marks discards for removal, unless something names their bytes again, or a
// track that was deleted within grace does: then their notes are dropped. names has, for each
// discard, the other ways to write its path. It returns, for each discard that is still as it
// was, whether it is marked.
func (s *Store) MarkDiscards(
	ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration,
) (map[int64]bool, error) {
	return s.marks(ctx, "mark discards", markDiscards, discards, names, grace)
}

// WouldMarkDiscards returns what MarkDiscards would, and changes nothing.
func (s *Store) WouldMarkDiscards(
	ctx context.Context, discards []track.Discard, names [][]string, grace time.Duration,
) (map[int64]bool, error) {
	return s.marks(ctx, "check discards", checkDiscards+` SELECT id, NOT named FROM checked`, discards, names, grace)
}

func (s *Store) marks(
	ctx context.Context, op, sql string, discards []track.Discard, names [][]string, grace time.Duration,
) (map[int64]bool, error) {
	input, err := json.Marshal(removals(discards, names))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	var marked map[int64]bool
	err = retry(ctx, func() error {
		marked = make(map[int64]bool)
		rows, err := s.pool.Query(ctx, sql, grace, string(input))
		if err != nil {
			return err
		}
		var id int64
		var isMarked bool
		_, err = pgx.ForEachRow(rows, []any{&id, &isMarked}, func() error {
			marked[id] = isMarked
			return nil
		})
		return err
	})
	return marked, s.failure(op, err)
}

// DiscardsGone notes that the bytes of marked discards are removed. It leaves alone what
// was noted anew meanwhile.
func (s *Store) DiscardsGone(ctx context.Context, discards []track.Discard) error {
	input, err := json.Marshal(removals(discards, nil))
	if err != nil {
		return fmt.Errorf("discards gone: %w", err)
	}
	err = retry(ctx, func() error {
		_, err := s.pool.Exec(ctx, `
			WITH notes AS MATERIALIZED (
				SELECT d.id FROM track_discards d
				JOIN jsonb_to_recordset($1::jsonb) AS i (id bigint, discarded_at timestamptz) ON i.id = d.id
				WHERE d.removed_at IS NOT NULL AND d.discarded_at = i.discarded_at
				ORDER BY d.backend, d.storage_key FOR UPDATE OF d
			)
			UPDATE track_discards d SET gone_at = now() FROM notes WHERE d.id = notes.id`, string(input))
		return err
	})
	return s.failure("discards gone", err)
}

// ForgetDiscards drops up to limit notes of bytes that have been gone for longer than
// grace: no worker that once saw those bytes is still at work. It returns their number.
func (s *Store) ForgetDiscards(ctx context.Context, grace time.Duration, limit int) (n int64, err error) {
	err = retry(ctx, func() error {
		tag, err := s.pool.Exec(ctx, `
			DELETE FROM track_discards WHERE id IN (
				SELECT id FROM track_discards
				WHERE gone_at <= now() - $1::interval AND NOT (reason = 'deleted' AND storage_key LIKE '%/')
				ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)`, grace, limit)
		n = tag.RowsAffected()
		return err
	})
	return n, s.failure("forget discards", err)
}

// removal is a discard as the statements above read it.
type removal struct {
	ID          int64     `json:"id"`
	TrackID     track.ID  `json:"track_id"`
	Backend     string    `json:"backend"`
	Key         string    `json:"key"`
	Reason      string    `json:"reason"`
	DiscardedAt time.Time `json:"discarded_at"`
	Names       []string  `json:"names"`
}

func removals(discards []track.Discard, names [][]string) []removal {
	all := make([]removal, len(discards))
	for i, d := range discards {
		all[i] = removal{d.ID, d.TrackID, d.Backend, d.Key, d.Reason, d.DiscardedAt, []string{d.Key}}
		if names != nil {
			all[i].Names = append(all[i].Names, names[i]...)
		}
	}
	return all
}
