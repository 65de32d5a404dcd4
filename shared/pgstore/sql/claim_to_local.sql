-- Leases tracks on S3, in the order of their ids, as claim_to_s3 does local ones.
--
-- A lease of this direction keeps what the flip to S3 recorded, for as long as the row
-- still names that object: a rollback checks the bytes against it, and a lease that is
-- given back becomes that record again. Where nothing is recorded, nobody knows whether
-- the file at file_path was purged, so it counts as purged.
--
-- With all ($6), also deleted tracks whose bytes the sweep has not noted yet: an undelete finds
-- them on disk, and none is in the way of taking the schema down.
WITH candidates AS MATERIALIZED (
	SELECT t.id, t.file_version, coalesce(t.file_path, '') AS file_path, t.storage_key,
		coalesce(t.storage_version_id, '') AS storage_version_id, m.state, m.lease_token, m.finished_at
	FROM {{tracks}} t LEFT JOIN LATERAL (SELECT * FROM track_migrations WHERE track_id = t.id OFFSET 0) AS m ON true
	WHERE t.storage_backend = 's3' AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
		AND (NOT $4::boolean OR t.id = ANY ($5::text[]::uuid[]))
		AND CASE WHEN t.deleted_at IS NULL THEN $6::boolean OR starts_with(t.storage_key, 'tracks/') ELSE $6::boolean AND NOT {{is_noted}} END
		AND (m.track_id IS NULL OR NOT (
			m.state = 'leased' AND m.lease_expires_at > now()
			OR m.direction = 'to_local' AND m.file_version = t.file_version AND {{is_failure}}))
		AND EXISTS (SELECT FROM track_migration_direction WHERE direction = 'to_local')
	ORDER BY t.id LIMIT $limit
), won AS (
	INSERT INTO track_migrations AS m
		(track_id, direction, file_version, state, lease_token, lease_expires_at, started_at, storage_key, purged_at)
	SELECT id, 'to_local', file_version, 'leased', $2::uuid, now() + $3::interval, now(), storage_key, now()
	FROM candidates ORDER BY id
	ON CONFLICT (track_id) DO UPDATE
	SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
		lease_token = excluded.lease_token, lease_expires_at = excluded.lease_expires_at,
		started_at = excluded.started_at, attempts = 0, error = NULL, storage_key = excluded.storage_key,
		size = CASE WHEN m.storage_key = excluded.storage_key THEN m.size END,
		crc64nvme = CASE WHEN m.storage_key = excluded.storage_key THEN m.crc64nvme END,
		finished_at = CASE WHEN m.storage_key = excluded.storage_key THEN m.finished_at END,
		purged_at = CASE WHEN m.storage_key = excluded.storage_key THEN m.purged_at ELSE now() END
	WHERE {{is_still_candidate}}
	RETURNING m.track_id, m.size, m.crc64nvme, m.purged_at IS NOT NULL AS purged
)
SELECT c.id, c.file_version, c.file_path, coalesce(won.purged, true), c.storage_key, c.storage_version_id,
	won.size, won.crc64nvme::text, won.track_id IS NOT NULL
FROM candidates c LEFT JOIN won ON won.track_id = c.id ORDER BY c.id
