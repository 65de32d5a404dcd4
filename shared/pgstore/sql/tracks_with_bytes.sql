-- A page of the tracks that have bytes and are not deleted. Of those on S3, the path is the local copy;
-- of local ones, there is no key.
SELECT t.id, t.file_version, coalesce(t.file_path, ''), t.storage_backend = 's3' AND m.purged_at IS NOT NULL,
	CASE t.storage_backend WHEN 's3' THEN t.storage_key END, t.storage_version_id, t.storage_bucket,
	NULL::bigint, NULL::text, NULL::timestamptz
FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON m.file_version = t.file_version
WHERE t.deleted_at IS NULL AND (t.storage_backend = 's3' OR t.file_path <> '') AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
