-- Marks a local copy for removal, if its track is still as it was read and its flip is older
-- than grace. The same statement notes the file, by these paths, among the discards, so that a
-- crash before the removal is made good by the next purge, or by the sweep once a grace is over.
WITH marked AS (
	UPDATE track_migrations m SET purged_at = now()
	FROM {{tracks}} t
	WHERE m.track_id = $1 AND t.id = m.track_id AND {{is_purgeable}} AND m.finished_at <= now() - $2::interval
		AND m.file_version = $3 AND m.storage_key = $4 AND t.file_path = $5
	RETURNING m.track_id
), noted AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason, removed_at)
	SELECT track_id, 'local', path, 'purged', now() FROM marked, unnest($6::text[]) path ORDER BY path
	ON CONFLICT (backend, storage_key) DO UPDATE
	SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
		removed_at = excluded.removed_at, gone_at = NULL
)
SELECT EXISTS (SELECT FROM marked)
