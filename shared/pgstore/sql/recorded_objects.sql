-- A page of the tracks on S3 that are not deleted, with what is recorded of their objects, if anything.
SELECT t.id, t.file_version, coalesce(t.file_path, ''), m.purged_at IS NOT NULL,
	t.storage_key, t.storage_version_id, t.storage_bucket, m.size, m.crc64nvme::text, m.finished_at
FROM {{tracks}} t LEFT JOIN {{record_of_track}}
	ON m.storage_key = t.storage_key AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL
WHERE t.storage_backend = 's3' AND t.deleted_at IS NULL AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
