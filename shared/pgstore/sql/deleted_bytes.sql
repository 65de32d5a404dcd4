-- What tracks leave that were deleted longer than the grace ago and are not noted yet: the object
-- and the file that the row names, and its folders, for whatever else is in them. Once noted,
-- those of the folders tell for ever that the track was looked at.
WITH deleted AS MATERIALIZED (
	SELECT t.id, t.deleted_at, coalesce(t.storage_key, '') AS storage_key, coalesce(t.storage_bucket, '') AS bucket, coalesce(t.file_path, '') AS file_path
	FROM {{tracks}} t
	WHERE t.deleted_at <= now() - $1::interval AND (t.deleted_at, t.id) > ($2, $3::text::uuid)
		AND {{adopted_at}} <= now() - $1::interval AND NOT {{is_noted}}
	ORDER BY t.deleted_at, t.id LIMIT $4
)
SELECT 0::bigint, id, backend, key, 'deleted', deleted_at, CASE backend WHEN 's3' THEN bucket ELSE '' END FROM (
	SELECT id, deleted_at, bucket, 's3' AS backend, storage_key AS key FROM deleted
	UNION ALL SELECT id, deleted_at, bucket, 'local', file_path FROM deleted
	UNION ALL SELECT id, deleted_at, bucket, 's3', 'uploads/' || id || '/' FROM deleted
	UNION ALL SELECT id, deleted_at, bucket, 's3', 'tracks/' || id || '/' FROM deleted
	UNION ALL SELECT id, deleted_at, bucket, 'local', 'uploads/' || id || '/' FROM deleted
	UNION ALL SELECT id, deleted_at, bucket, 'local', 'restored/' || id || '/' FROM deleted
) AS bytes WHERE key <> '' ORDER BY deleted_at, id, backend, key
