package pgstore

import (
	"strings"

	"trackstore/shared/track"
)

// settlement is an outcome as the statements below read it.
type settlement struct {
	Number      int                  `json:"number"`
	TrackID     track.ID             `json:"track_id"`
	Token       track.ID             `json:"token"`
	FileVersion int64                `json:"file_version"`
	FilePath    string               `json:"file_path"`
	Key         string               `json:"storage_key"` // that the row names now; empty: it is local
	Attempts    int                  `json:"attempts"`
	State       track.MigrationState `json:"state"`
	NewKey      *string              `json:"new_key"`
	NewVersion  *string              `json:"new_version"`
	NewPath     *string              `json:"new_path"`
	Aliases     []string             `json:"aliases"`
	NewSize     *int64               `json:"new_size"`
	NewChecksum *string              `json:"new_checksum"`
	Format      *string              `json:"format"`
	ContentType *string              `json:"content_type"`
	Error       *string              `json:"error"`
}

func settlements(outcomes []track.Outcome) []settlement {
	all := make([]settlement, len(outcomes))
	for i, o := range outcomes {
		format := string(o.Format)
		all[i] = settlement{
			Number: i, TrackID: o.TrackID, Token: o.Token, FileVersion: o.FileVersion, FilePath: o.FilePath, Key: o.Key,
			Attempts: o.Attempts, State: o.State, NewKey: orNull(o.NewKey), NewVersion: orNull(o.NewVersion),
			NewPath: orNull(o.NewPath), Aliases: append(o.Aliases, o.NewPath), NewChecksum: orNull(o.NewChecksum), Format: orNull(format),
			ContentType: orNull(o.ContentType), Error: orNull(storable(o.Error)),
		}
		if o.State == track.Migrated {
			all[i].NewSize = &o.NewSize
		}
	}
	return all
}

// storable cuts out of an error's text what Postgres does not take.
func storable(text string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD")
}

// The outcomes of leases that are still held, and of these the moves, their rows locked in
// the order of id, so that two statements never wait for each other.
//
// The planner knows nothing of how many rows these are, and little of the tables: the plan
// is made once, maybe when no track was local. So that none reads a whole table or index
// for a batch, rows are looked up by LATERAL or = ANY; and so that no step compares every
// row with every other, it has what it needs from one of the steps before, and asks for the
// others by IN, which is looked up in a hash.
const settleInput = `
	WITH input AS MATERIALIZED (
		SELECT * FROM jsonb_to_recordset($1::jsonb) AS i (
			number int, track_id uuid, token uuid, file_version bigint, file_path text, storage_key text, attempts int,
			state text, new_key text, new_version text, new_path text, aliases text[], new_size bigint, new_checksum text,
			format text, content_type text, error text)
	), held AS MATERIALIZED (
		SELECT i.*, m.purged_at FROM (SELECT * FROM input ORDER BY track_id) AS i CROSS JOIN LATERAL (
			SELECT purged_at FROM track_migrations
			WHERE track_id = i.track_id AND state = 'leased' AND lease_token = i.token FOR UPDATE
		) AS m
	), moved AS MATERIALIZED (
		SELECT h.* FROM (SELECT * FROM held WHERE state = 'migrated' ORDER BY track_id) AS h CROSS JOIN LATERAL (
			SELECT FROM tracks WHERE id = h.track_id FOR NO KEY UPDATE
		) AS t
	)`

// The record m of a lease that is held becomes its outcome; of a move that did not flip its
// track, it goes.
const (
	isHeld       = `m.track_id = held.track_id AND m.track_id = ANY (ARRAY(SELECT track_id FROM held))`
	isSettled    = isHeld + ` AND (held.state <> 'migrated' OR held.track_id IN (SELECT track_id FROM flipped))`
	isSuperseded = isHeld + ` AND held.state = 'migrated' AND held.track_id NOT IN (SELECT track_id FROM flipped)`
)

// A verdict for each outcome. One that is not held any more may have been settled by this
// very call, tried again after its answer was lost.
const settleVerdicts = `
	SELECT CASE
		WHEN i.track_id IN (SELECT track_id FROM settled) THEN 'settled'
		WHEN i.track_id IN (SELECT track_id FROM held) THEN 'superseded'
		WHEN EXISTS (SELECT FROM track_migrations m
			WHERE m.track_id = i.track_id AND m.state = i.state AND m.file_version = i.file_version
				AND coalesce(m.storage_key, '') = coalesce(i.new_key, nullif(i.storage_key, ''), m.storage_key, '')
				AND m.crc64nvme IS NOT DISTINCT FROM coalesce(i.new_checksum, m.crc64nvme::text)) THEN 'settled'
		ELSE 'lost' END
	FROM input i ORDER BY i.number`

// R2: the flip compares. R3: where it meets nothing, the object stays; it is noted for the
// sweep, which looks once more whether a row names it before it removes anything. A key
// whose removal has begun is not flipped to, and a note that is not acted upon yet goes
// with the flip: locking the note decides which of the two comes first.
const settleToS3 = settleInput + `, discards AS MATERIALIZED (
		SELECT d.storage_key, d.removed_at FROM track_discards d JOIN moved ON moved.new_key = d.storage_key
		WHERE d.backend = 's3'
		ORDER BY d.storage_key FOR UPDATE OF d
	), flipped AS (
		UPDATE tracks t
		SET storage_backend = 's3', storage_key = moved.new_key, storage_version_id = moved.new_version,
			file_size = moved.new_size, format = coalesce(moved.format, t.format), updated_at = now(),
			-- Where neither bytes nor name tell, the row knows better: a format that is not taken any more.
			content_type = CASE WHEN moved.format IS NULL AND t.content_type::text ILIKE 'audio/%' THEN t.content_type::text
				ELSE moved.content_type END
		FROM moved
		WHERE t.id = moved.track_id AND t.id = ANY (ARRAY(SELECT track_id FROM moved))
			AND t.storage_backend = 'local' AND t.file_version = moved.file_version AND t.file_path = moved.file_path
			AND t.deleted_at IS NULL
			AND moved.new_key NOT IN (SELECT storage_key FROM discards WHERE removed_at IS NOT NULL)
		RETURNING moved.track_id, moved.new_key
	), wanted AS (
		DELETE FROM track_discards d USING flipped
		WHERE d.backend = 's3' AND d.storage_key = flipped.new_key AND d.removed_at IS NULL
	), settled AS (
		UPDATE track_migrations m
		SET state = held.state, lease_token = NULL, lease_expires_at = NULL, attempts = held.attempts,
			storage_key = held.new_key, size = held.new_size, crc64nvme = held.new_checksum, error = held.error, finished_at = now()
		FROM held
		WHERE ` + isSettled + `
		RETURNING m.track_id
	), superseded AS (
		DELETE FROM track_migrations m USING held
		WHERE ` + isSuperseded + `
		RETURNING m.track_id, held.new_key
	), orphaned AS (
		INSERT INTO track_discards (track_id, backend, storage_key, reason)
		SELECT track_id, 's3', new_key, 'orphaned' FROM superseded ORDER BY new_key
		ON CONFLICT (backend, storage_key) DO NOTHING
	)` + settleVerdicts

// The same for a rollback. The object stays where it is. R6: the row's own file counts only
// while it is not marked for removal; the mark is set on the row that held has locked.
const settleToLocal = settleInput + `, discards AS MATERIALIZED (
		SELECT moved.track_id, d.id, d.removed_at FROM track_discards d JOIN moved ON d.storage_key = ANY (moved.aliases)
		WHERE d.backend = 'local'
		ORDER BY d.storage_key FOR UPDATE OF d
	), flipped AS (
		UPDATE tracks t
		SET storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, file_path = moved.new_path,
			updated_at = now()
		FROM moved
		WHERE t.id = moved.track_id AND t.id = ANY (ARRAY(SELECT track_id FROM moved))
			AND t.storage_backend = 's3' AND t.storage_key = moved.storage_key AND t.file_version = moved.file_version
			AND t.deleted_at IS NULL
			AND (moved.purged_at IS NULL OR moved.new_path <> t.file_path)
			AND moved.track_id NOT IN (SELECT track_id FROM discards WHERE removed_at IS NOT NULL)
		RETURNING moved.track_id
	), wanted AS (
		DELETE FROM track_discards d USING discards
		WHERE d.id = discards.id AND d.removed_at IS NULL AND discards.track_id IN (SELECT track_id FROM flipped)
	), settled AS (
		UPDATE track_migrations m
		SET state = held.state, lease_token = NULL, lease_expires_at = NULL, attempts = held.attempts, error = held.error,
			size = coalesce(held.new_size, m.size), crc64nvme = coalesce(held.new_checksum, m.crc64nvme),
			finished_at = CASE WHEN held.state = 'migrated' THEN now() ELSE m.finished_at END,
			purged_at = CASE WHEN held.state = 'migrated' THEN NULL ELSE m.purged_at END
		FROM held
		WHERE ` + isSettled + `
		RETURNING m.track_id
	), superseded AS (
		DELETE FROM track_migrations m USING held
		WHERE ` + isSuperseded + `
		RETURNING m.track_id, held.new_path, held.file_path
	), orphaned AS (
		INSERT INTO track_discards (track_id, backend, storage_key, reason)
		SELECT track_id, 'local', new_path, 'orphaned' FROM superseded WHERE new_path <> file_path ORDER BY new_path
		ON CONFLICT (backend, storage_key) DO NOTHING
	)` + settleVerdicts
