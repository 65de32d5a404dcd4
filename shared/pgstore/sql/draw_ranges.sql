-- Draws the ranges that are walked in direction $1, unless there are some: up to $3, of the same number of tracks on
-- backend $2 each, and of a thousand at least.
--
-- Some three hundred pages of the table show where these tracks are among the ids, whether these are random or grow
-- with time. Two processes that draw at once both leave some: any set of ids cuts all ids into ranges.
WITH sampled AS (
	SELECT least(1, 300.0 * current_setting('block_size')::int / greatest(pg_relation_size((SELECT t.tableoid FROM {{tracks}} t LIMIT 1)), 1))::float8 AS share
), sample AS (
	SELECT t.id, row_number() OVER (ORDER BY t.id) - 1 AS n
	FROM {{tracks}} t TABLESAMPLE SYSTEM (100 * (SELECT share FROM sampled)) WHERE t.storage_backend = $2::varchar
), drawn AS MATERIALIZED (
	SELECT count(*) AS size, least($3::bigint, (count(*) / (SELECT share FROM sampled) / 1000)::bigint) AS ranges FROM sample
)
INSERT INTO track_migration_ranges (direction, number, after_id, reached_id)
SELECT $1::varchar, number, id, id FROM (
	SELECT 1 AS number, '00000000-0000-0000-0000-000000000000'::uuid AS id
	UNION ALL
	SELECT 1 + n * ranges / size, id FROM sample, drawn WHERE n * ranges / size > (n - 1) * ranges / size AND n > 0
) AS starts
WHERE NOT EXISTS (SELECT FROM track_migration_ranges WHERE direction = $1::varchar)
ON CONFLICT DO NOTHING
