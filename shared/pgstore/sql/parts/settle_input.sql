-- The outcomes of leases that are still held, and their records.
--
-- The planner knows nothing of how many rows these are, and little of the tables: the plan
-- is made once, maybe when no track was local. So that none reads a whole table or index
-- for a batch, rows are looked up by LATERAL or = ANY; and so that no step compares every
-- row with every other, it has what it needs from one of the steps before, and asks for the
-- others by IN, which is looked up in a hash. Of a comparison with a text (state) it expects that one
-- row in two hundred passes, and goes through the array of = ANY once for each; of a boolean, every other one.
WITH input AS MATERIALIZED (
	SELECT i.* FROM (SELECT {{writer}}) AS settings, jsonb_to_recordset($1::jsonb) AS i (
		number int, track_id uuid, token uuid, file_version bigint, file_path text, storage_key text, attempts int,
		state text, new_key text, new_version text, new_bucket text, new_path text, aliases text[], new_size bigint,
		new_checksum text, format text, content_type text, error text)
), held AS MATERIALIZED (
	SELECT i.*, i.state = 'migrated' AS is_copied, m.has_record, m.waits, m.recorded_key, m.is_purged, m.started_at FROM (SELECT * FROM input ORDER BY track_id) AS i CROSS JOIN LATERAL (
		SELECT {{has_record}} AS has_record, {{wait_is_young}} AS waits, m.storage_key AS recorded_key,
			m.purged_at IS NOT NULL AS is_purged, m.started_at
		FROM track_migrations m
		WHERE m.track_id = i.track_id AND m.state = 'leased' AND m.lease_token = i.token FOR UPDATE
	) AS m
)
