-- A page of what can be claimed, now or when its lease is over, without leasing it.
SELECT t.id, t.file_version, coalesce(t.file_path, ''), false, t.storage_key, t.storage_version_id, t.storage_bucket,
	NULL::bigint, NULL::text, NULL::timestamptz, coalesce(t.file_size, 0)
{{remaining_to_s3}}
	AND t.id > coalesce($3::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
