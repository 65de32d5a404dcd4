-- Keeps size and checksum of an object of which nothing is recorded, while its track's row
-- names it and nobody moves the track. Whether a local copy of it was purged is not known then,
-- so it counts as purged.
INSERT INTO track_migrations AS m
	(track_id, direction, file_version, state, storage_key, storage_version_id, storage_bucket, size, crc64nvme, finished_at, purged_at)
SELECT t.id, 'to_s3', t.file_version, 'migrated', t.storage_key, t.storage_version_id, t.storage_bucket, $3::bigint, $4, now(), now() FROM {{tracks}} t
WHERE t.id = $1 AND t.storage_backend = 's3' AND t.storage_key = $2
ON CONFLICT (track_id) DO UPDATE
SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
	stored_version = NULL, storage_key = excluded.storage_key, storage_version_id = excluded.storage_version_id,
	storage_bucket = excluded.storage_bucket, size = excluded.size, crc64nvme = excluded.crc64nvme, error = NULL,
	finished_at = excluded.finished_at, purged_at = excluded.purged_at
WHERE m.state <> 'leased' AND (m.storage_key IS DISTINCT FROM excluded.storage_key OR m.crc64nvme IS NULL)
