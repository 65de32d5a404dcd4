-- Marks local copies for removal, those whose track is still as it was read and whose flip is older
-- than grace. The same statement notes the files, by their paths, among the discards, so that a
-- crash before the removal is made good by the next purge, or by the sweep once a grace is over.
--
-- The rows are locked in the order of their ids, as every statement does it that locks several.
WITH input AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($2::jsonb) AS i (number int, track_id uuid, file_version bigint, storage_key text, file_path text, paths text[])
), held AS MATERIALIZED (
	SELECT i.number, i.track_id, i.paths FROM (SELECT * FROM input ORDER BY track_id) AS i CROSS JOIN LATERAL (
		SELECT m.track_id FROM track_migrations m JOIN {{tracks}} t ON t.id = m.track_id
		WHERE m.track_id = i.track_id AND {{is_purgeable}} AND m.finished_at <= now() - $1::interval
			AND m.file_version = i.file_version AND m.storage_key = i.storage_key AND t.file_path = i.file_path
		FOR UPDATE OF m
	) AS m
), marked AS (
	UPDATE track_migrations m SET purged_at = now() FROM held WHERE m.track_id = held.track_id AND m.track_id = ANY (ARRAY(SELECT track_id FROM held))
	RETURNING held.number, m.track_id, held.paths
), noted AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason, removed_at)
	SELECT DISTINCT ON (path) track_id, 'local', path, 'purged', now() FROM marked, unnest(paths) path ORDER BY path
	ON CONFLICT (backend, storage_key) DO UPDATE
	SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
		removed_at = excluded.removed_at, gone_at = NULL
)
SELECT number FROM marked
