-- All tracks on S3 that are not deleted, with what is recorded of their objects, if anything.
SELECT t.id, t.file_version, coalesce(t.file_path, ''), m.purged_at IS NOT NULL,
	t.storage_key, t.storage_version_id, t.storage_bucket, m.size, m.crc64nvme::text, m.finished_at
FROM {{tracks}} t LEFT JOIN track_migrations m
	ON m.track_id = t.id AND m.storage_key = t.storage_key AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL
WHERE t.storage_backend = 's3' AND t.deleted_at IS NULL
ORDER BY t.id
