-- Leases up to $8 local tracks behind $1 and up to $6, in the order of their ids, and notes how far range $7 is walked with
-- that. Answers with each candidate, and whether it was won.
--
-- OFFSET 0 keeps the planner from reading track_migrations from its beginning, in step with
-- tracks, and from reading all of it: a hundred look-ups cost less, however large it is. A
-- limit is part of the text, for the planner takes a parameter to be a tenth of the table. The limit that holds is the
-- parameter $8 all the same, so that smaller claims are no statements of their own.
--
-- A live lease keeps a track from being claimed, whatever version it is for: its holder
-- still writes. A failure keeps one file version. Everything else is free: no row at all,
-- a dead lease, the state of an older version, a finished move in the other direction.
--
-- What is known of an object with the bytes of this file version comes along: it may be the
-- only copy. A FULL JOIN is never a nested loop, which the planner takes for one row.
WITH place AS (SELECT 'to_s3' AS direction, $7::smallint AS number), candidates AS MATERIALIZED (SELECT * FROM (
	SELECT t.id, t.file_version, t.file_path, m.state, m.lease_token, m.finished_at
	FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON true
	WHERE t.storage_backend = 'local' AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND t.id <= coalesce($6::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff')
		AND (NOT $4::boolean OR t.id = ANY ($5::text[]::uuid[]))
		AND t.deleted_at IS NULL AND t.file_path <> ''
		AND (m.track_id IS NULL OR NOT (
			m.state = 'leased' AND m.lease_expires_at > now()
			OR m.direction = 'to_s3' AND m.file_version = t.file_version AND {{is_failure}}))
		AND EXISTS (SELECT FROM track_migration_direction WHERE direction = 'to_s3')
	ORDER BY t.id LIMIT $limit
) AS c LIMIT $8), won AS (
	INSERT INTO track_migrations AS m
		(track_id, direction, file_version, state, lease_token, lease_expires_at, started_at)
	SELECT id, 'to_s3', file_version, 'leased', $2::uuid, now() + $3::interval, now() FROM candidates ORDER BY id
	{{take_lease}}
	RETURNING m.track_id, {{has_record}} AND m.stored_version = m.file_version AS is_known,
		m.storage_key, m.storage_version_id, m.storage_bucket, m.size, m.crc64nvme
), {{come_to}}
SELECT c.id, c.file_version, c.file_path, false,
	known.storage_key, known.storage_version_id, known.storage_bucket, known.size, known.crc64nvme::text, NULL::timestamptz,
	won.track_id IS NOT NULL
FROM candidates c FULL JOIN won ON won.track_id = c.id FULL JOIN (SELECT * FROM won WHERE is_known) AS known ON known.track_id = c.id
ORDER BY c.id
