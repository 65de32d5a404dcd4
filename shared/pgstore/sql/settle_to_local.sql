-- As settle_to_s3, for a rollback. The object stays where it is, and the record keeps its name.
-- R6: the row's own file counts only while it is not marked for removal; the mark is set on the
-- row that held has locked. A track that was deleted before it was claimed is flipped, too; one
-- that was deleted since is not.
{{settle_input}}, moved AS MATERIALIZED (
	SELECT h.*, t.storage_version_id, t.storage_bucket
	FROM (SELECT * FROM held WHERE is_copied ORDER BY track_id) AS h CROSS JOIN LATERAL (
		SELECT t.storage_version_id, t.storage_bucket FROM {{tracks}} t
		WHERE t.id = h.track_id AND t.storage_backend = 's3' AND t.storage_key = h.storage_key
			AND t.file_version = h.file_version AND (t.deleted_at IS NULL OR t.deleted_at < h.started_at)
			AND (h.new_path IS DISTINCT FROM t.file_path OR h.recorded_key = h.storage_key AND NOT h.is_purged)
		FOR NO KEY UPDATE SKIP LOCKED
	) AS t
), locked AS MATERIALIZED (
	SELECT h.track_id
	FROM (SELECT * FROM held WHERE is_copied AND track_id NOT IN (SELECT track_id FROM moved)) AS h CROSS JOIN LATERAL (
		SELECT FROM {{tracks}} t
		WHERE t.id = h.track_id AND t.storage_backend = 's3' AND t.storage_key = h.storage_key
			AND t.file_version = h.file_version AND (t.deleted_at IS NULL OR t.deleted_at < h.started_at)
			AND (h.new_path IS DISTINCT FROM t.file_path OR h.recorded_key = h.storage_key AND NOT h.is_purged) OFFSET 0
	) AS t
), notes AS MATERIALIZED (
	SELECT d.id, n.track_id, d.removed_at, d.gone_at
	FROM (SELECT track_id, unnest(aliases) AS path FROM moved ORDER BY path) AS n CROSS JOIN LATERAL (
		SELECT id, removed_at, gone_at FROM track_discards WHERE backend = 'local' AND storage_key = n.path FOR UPDATE
	) AS d
), marked AS MATERIALIZED (
	SELECT track_id, bool_and(gone_at IS NOT NULL) AS is_gone FROM notes WHERE removed_at IS NOT NULL GROUP BY track_id
), flipped AS (
	UPDATE {{tracks}} t
	SET storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, storage_bucket = NULL,
		file_path = moved.new_path, updated_at = now()
	FROM moved
	WHERE t.id = moved.track_id AND t.id = ANY (ARRAY(SELECT track_id FROM moved))
		AND t.storage_backend = 's3' AND t.storage_key = moved.storage_key AND t.file_version = moved.file_version
		AND (t.deleted_at IS NULL OR t.deleted_at < moved.started_at)
		AND moved.track_id NOT IN (SELECT track_id FROM marked)
	RETURNING moved.storage_version_id, moved.storage_bucket, CASE
		WHEN (t.storage_backend::text, t.file_path::text, t.file_version) = ('local', moved.new_path, moved.file_version)
		THEN t.id ELSE ('trackstore: a trigger makes something else of the row' || left(t.id::text, 0))::uuid
	END AS track_id, CASE WHEN $2::boolean THEN {{event_data}} END AS data
), {{after_flip}}, settled AS (
	UPDATE track_migrations m
	SET state = held.state, lease_token = NULL, lease_expires_at = NULL, attempts = held.attempts, error = held.error,
		locked_since = NULL, locked_at = NULL,
		storage_key = CASE WHEN held.state = 'migrated' THEN held.storage_key ELSE m.storage_key END,
		size = coalesce(held.new_size, m.size), crc64nvme = coalesce(held.new_checksum, m.crc64nvme),
		storage_version_id = CASE WHEN held.state = 'migrated' THEN moved.storage_version_id ELSE m.storage_version_id END,
		storage_bucket = CASE WHEN held.state = 'migrated' THEN moved.storage_bucket ELSE m.storage_bucket END,
		stored_version = CASE WHEN held.state = 'migrated' THEN NULL ELSE m.stored_version END,
		finished_at = CASE WHEN held.state = 'migrated' THEN now() ELSE m.finished_at END,
		purged_at = CASE WHEN held.state = 'migrated' THEN NULL ELSE m.purged_at END
	FROM held LEFT JOIN moved ON moved.track_id = held.track_id
	WHERE {{to_record}}
	RETURNING m.track_id
), {{overtaken}}, orphaned AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, 'local', new_path, 'orphaned' FROM undone WHERE new_path <> file_path ORDER BY new_path
	ON CONFLICT (backend, storage_key) DO NOTHING
)
{{settle_verdicts}}
