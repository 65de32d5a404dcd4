-- As settle_to_s3, for a rollback. The object stays where it is. R6: the row's own file counts only
-- while it is not marked for removal; the mark is set on the row that held has locked. A track that
-- was deleted before it was claimed is flipped, too; one that was deleted since is not.
{{settle_input}}, discards AS MATERIALIZED (
	SELECT moved.track_id, d.id, d.removed_at FROM track_discards d JOIN moved ON d.storage_key = ANY (moved.aliases)
	WHERE d.backend = 'local'
	ORDER BY d.storage_key FOR UPDATE OF d
), flipped AS (
	UPDATE {{tracks}} t
	SET storage_backend = 'local', storage_key = NULL, storage_version_id = NULL, file_path = moved.new_path,
		updated_at = now()
	FROM moved
	WHERE t.id = moved.track_id AND t.id = ANY (ARRAY(SELECT track_id FROM moved))
		AND t.storage_backend = 's3' AND t.storage_key = moved.storage_key AND t.file_version = moved.file_version
		AND (t.deleted_at IS NULL OR t.deleted_at < moved.started_at)
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
	WHERE {{is_settled}}
	RETURNING m.track_id
), superseded AS (
	DELETE FROM track_migrations m USING held
	WHERE {{is_superseded}}
	RETURNING m.track_id, held.new_path, held.file_path
), orphaned AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, 'local', new_path, 'orphaned' FROM superseded WHERE new_path <> file_path ORDER BY new_path
	ON CONFLICT (backend, storage_key) DO NOTHING
)
{{settle_verdicts}}
