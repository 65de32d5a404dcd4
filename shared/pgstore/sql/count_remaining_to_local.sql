-- Counts what a rollback can claim or has leased, as count_remaining_to_s3 does.
WITH ranges AS (SELECT * FROM track_migration_ranges WHERE direction = 'to_local'), {{stretches}}, counted AS (
	SELECT count(*) AS n FROM (
		SELECT FROM stretches s CROSS JOIN LATERAL (SELECT {{remaining_to_local}} AND t.id > s.after_id AND t.id <= s.up_to OFFSET 0) AS found
		LIMIT $4::bigint + 1) AS rows
)
SELECT CASE WHEN n <= $4 THEN n
	ELSE greatest(n, (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('tracks_storage_backend_s3_idx'))) END
FROM counted
