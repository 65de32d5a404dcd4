-- The tracks that were moved to S3 longer than grace ago, whose row still names that object,
-- and whose local copy is not marked for removal.
SELECT t.id, t.file_version, t.file_path, false, t.storage_key, t.storage_version_id, t.storage_bucket, m.size, m.crc64nvme::text, m.finished_at
FROM track_migrations m JOIN {{tracks}} t ON t.id = m.track_id
WHERE {{is_purgeable}} AND m.finished_at <= now() - $1::interval
ORDER BY t.id
