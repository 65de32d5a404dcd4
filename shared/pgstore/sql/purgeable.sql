-- A page of the tracks that were moved to S3 longer than grace ago, whose row still names that object,
-- and whose local copy is not marked for removal.
SELECT t.id, t.file_version, t.file_path, false, t.storage_key, t.storage_version_id, t.storage_bucket, m.size, m.crc64nvme::text, m.finished_at
FROM {{tracks}} t JOIN {{record_of_track}} ON true
WHERE {{is_purgeable}} AND m.finished_at <= now() - $1::interval AND t.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
