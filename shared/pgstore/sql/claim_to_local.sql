-- Leases tracks on S3, in the order of their ids, as claim_to_s3 does local ones.
--
-- A rollback checks the bytes against what the flip to S3 recorded, where that is of the object that
-- the row names. Where nothing is recorded, nobody knows whether the file at file_path was
-- purged, so it counts as purged.
--
-- With all ($9), also deleted tracks whose bytes the sweep has not noted yet: an undelete finds
-- them on disk, and none is in the way of taking the schema down.
WITH place AS (SELECT 'to_local' AS direction, $7::smallint AS number), candidates AS MATERIALIZED (SELECT * FROM (
	SELECT t.id, t.file_version, coalesce(t.file_path, '') AS file_path, t.storage_key, t.storage_version_id, t.storage_bucket,
		m.state, m.lease_token, m.finished_at
	FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON true
	WHERE t.storage_backend = 's3' AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND t.id <= coalesce($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		AND (NOT $4::boolean OR t.id = ANY ($5::text[]::uuid[]))
		AND CASE WHEN t.deleted_at IS NULL THEN $9::boolean OR starts_with(t.storage_key, 'tracks/') ELSE $9::boolean AND NOT {{is_noted}} END
		AND (m.track_id IS NULL OR NOT (
			m.state = 'leased' AND m.lease_expires_at > now()
			OR m.direction = 'to_local' AND m.file_version = t.file_version AND {{is_failure}}))
		AND EXISTS (SELECT FROM track_migration_direction WHERE direction = 'to_local')
	ORDER BY t.id LIMIT $limit
) AS c LIMIT $8), won AS (
	INSERT INTO track_migrations AS m
		(track_id, direction, file_version, state, lease_token, lease_expires_at, started_at)
	SELECT id, 'to_local', file_version, 'leased', $2::uuid, now() + $3::interval, now() FROM candidates ORDER BY id
	{{take_lease}}
	RETURNING m.track_id, m.storage_key, m.size, m.crc64nvme, m.finished_at, m.purged_at IS NOT NULL AS purged
), {{come_to}}
SELECT c.id, c.file_version, c.file_path, coalesce(won.purged OR won.storage_key <> c.storage_key, true),
	c.storage_key, c.storage_version_id, c.storage_bucket,
	CASE WHEN won.storage_key = c.storage_key THEN won.size END, CASE WHEN won.storage_key = c.storage_key THEN won.crc64nvme::text END,
	CASE WHEN won.storage_key = c.storage_key THEN won.finished_at END,
	won.track_id IS NOT NULL
FROM candidates c FULL JOIN won ON won.track_id = c.id
ORDER BY c.id
