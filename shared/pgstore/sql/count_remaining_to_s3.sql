-- Counts what can be claimed or is leased; above a bound, the planner's estimate of the rows
-- that are still on that side, which the index's size tells. It counts first what lies ahead of the
-- claims: an index that was not vacuumed since remembers all that was moved behind them.
WITH ranges AS (SELECT * FROM track_migration_ranges WHERE direction = 'to_s3'), {{stretches}}, counted AS (
	SELECT count(*) AS n FROM (
		SELECT FROM stretches s CROSS JOIN LATERAL (SELECT {{remaining_to_s3}} AND t.id > s.after_id AND t.id <= s.up_to OFFSET 0) AS found
		LIMIT $3::bigint + 1) AS rows
)
SELECT CASE WHEN n <= $3 THEN n
	ELSE greatest(n, (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('tracks_storage_backend_local_idx'))) END
FROM counted
