-- Counts what can be claimed or is leased; above a bound, the planner's estimate of the rows
-- that are still on that side, which the index's size tells.
WITH counted AS (
	SELECT count(*) AS n FROM (SELECT {{remaining_to_local}} LIMIT $4::bigint + 1) AS rows
)
SELECT CASE WHEN n <= $4 THEN n
	ELSE greatest($4, (SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass('tracks_storage_backend_s3_idx'))) END
FROM counted
