-- Makes tracks point at their new objects, and records what became of moves to S3. With $2 it tells
-- of each that it moved.
--
-- R2: the flip compares. R3: where it meets nothing, the object stays; it is noted for the
-- sweep, which looks once more whether a row names it before it removes anything. A key
-- whose removal has begun is not flipped to, and a note that is not acted upon yet goes
-- with the flip: locking the note decides which of the two comes first.
--
-- A row of tracks that somebody has locked is left, so that none is held while another is waited
-- for. All that are locked here are locked in the order of id.
--
-- A crash before the commit changes nothing, and after it nothing is left to do.
{{settle_input}}, moved AS MATERIALIZED (
	SELECT h.* FROM (SELECT * FROM held WHERE is_copied ORDER BY track_id) AS h CROSS JOIN LATERAL (
		SELECT FROM {{tracks}} t
		WHERE t.id = h.track_id AND t.storage_backend = 'local' AND t.file_version = h.file_version
			AND t.file_path = h.file_path AND t.deleted_at IS NULL
		FOR NO KEY UPDATE SKIP LOCKED
	) AS t
), locked AS MATERIALIZED (
	SELECT h.track_id
	FROM (SELECT * FROM held WHERE is_copied AND track_id NOT IN (SELECT track_id FROM moved)) AS h CROSS JOIN LATERAL (
		SELECT FROM {{tracks}} t
		WHERE t.id = h.track_id AND t.storage_backend = 'local' AND t.file_version = h.file_version
			AND t.file_path = h.file_path AND t.deleted_at IS NULL OFFSET 0
	) AS t
), notes AS MATERIALIZED (
	SELECT d.id, n.track_id, d.removed_at, d.gone_at
	FROM (SELECT track_id, new_key FROM moved ORDER BY new_key) AS n CROSS JOIN LATERAL (
		SELECT id, removed_at, gone_at FROM track_discards WHERE backend = 's3' AND storage_key = n.new_key FOR UPDATE
	) AS d
), marked AS MATERIALIZED (
	SELECT track_id, gone_at IS NOT NULL AS is_gone FROM notes WHERE removed_at IS NOT NULL
), flipped AS (
	UPDATE {{tracks}} t
	SET storage_backend = 's3', storage_key = moved.new_key, storage_version_id = moved.new_version,
		storage_bucket = moved.new_bucket, file_size = moved.new_size, updated_at = now(),
		-- The platform's columns may be of types of its own, which not every value fits. As it is
		-- made when the row is, that is this row's fault and no other's. Where neither bytes nor
		-- name tell, the row knows better: a format that is not taken any more.
		format = CASE WHEN moved.format IS NULL THEN t.format
			ELSE (jsonb_populate_record(t, jsonb_build_object('format', moved.format))).format END,
		content_type = CASE WHEN moved.content_type IS NULL OR moved.format IS NULL AND t.content_type::text ILIKE 'audio/%' THEN t.content_type
			ELSE (jsonb_populate_record(t, jsonb_build_object('content_type', moved.content_type))).content_type END
	FROM moved
	WHERE t.id = moved.track_id AND t.id = ANY (ARRAY(SELECT track_id FROM moved))
		AND t.storage_backend = 'local' AND t.file_version = moved.file_version AND t.file_path = moved.file_path
		AND t.deleted_at IS NULL
		AND moved.track_id NOT IN (SELECT track_id FROM marked)
	-- A trigger may have made something else of it: this is no uuid, and so an error that takes all back.
	RETURNING moved.new_key, CASE
		WHEN (t.storage_backend::text, t.storage_key::text, coalesce(t.storage_version_id::text, ''), t.file_version)
			= ('s3', moved.new_key, coalesce(moved.new_version, ''), moved.file_version)
		THEN t.id ELSE ('trackstore: a trigger makes something else of the row' || left(t.id::text, 0))::uuid
	END AS track_id, CASE WHEN $2::boolean THEN {{event_data}} END AS data
), {{after_flip}}, settled AS (
	UPDATE track_migrations m
	SET state = held.state, lease_token = NULL, lease_expires_at = NULL, attempts = held.attempts, error = held.error,
		locked_since = NULL, locked_at = NULL,
		storage_key = coalesce(held.new_key, m.storage_key), size = coalesce(held.new_size, m.size),
		crc64nvme = coalesce(held.new_checksum, m.crc64nvme),
		storage_version_id = CASE WHEN held.state = 'migrated' THEN held.new_version ELSE m.storage_version_id END,
		storage_bucket = CASE WHEN held.state = 'migrated' THEN held.new_bucket ELSE m.storage_bucket END,
		stored_version = CASE WHEN held.state = 'migrated' THEN NULL ELSE m.stored_version END,
		finished_at = CASE WHEN held.state = 'migrated' OR m.crc64nvme IS NULL THEN now() ELSE m.finished_at END,
		-- Of the object that was there before, the file may be gone by a purge.
		purged_at = CASE WHEN held.state = 'migrated' AND held.new_key IS DISTINCT FROM m.storage_key THEN NULL ELSE m.purged_at END
	FROM held
	WHERE {{to_record}}
	RETURNING m.track_id
), {{overtaken}}, orphaned AS (
	INSERT INTO track_discards (track_id, backend, storage_key, storage_bucket, reason)
	SELECT track_id, 's3', new_key, new_bucket, 'orphaned' FROM undone ORDER BY new_key
	ON CONFLICT (backend, storage_key) DO NOTHING
)
{{settle_verdicts}}
