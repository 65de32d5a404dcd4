-- R2: the flip compares. R3: where it meets nothing, the object stays; it is noted for the
-- sweep, which looks once more whether a row names it before it removes anything. A key
-- whose removal has begun is not flipped to, and a note that is not acted upon yet goes
-- with the flip: locking the note decides which of the two comes first.
{{settle_input}}, discards AS MATERIALIZED (
	SELECT d.storage_key, d.removed_at FROM track_discards d JOIN moved ON moved.new_key = d.storage_key
	WHERE d.backend = 's3'
	ORDER BY d.storage_key FOR UPDATE OF d
), flipped AS (
	UPDATE {{tracks}} t
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
	WHERE {{is_settled}}
	RETURNING m.track_id
), superseded AS (
	DELETE FROM track_migrations m USING held
	WHERE {{is_superseded}}
	RETURNING m.track_id, held.new_key
), orphaned AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, 's3', new_key, 'orphaned' FROM superseded ORDER BY new_key
	ON CONFLICT (backend, storage_key) DO NOTHING
)
{{settle_verdicts}}
