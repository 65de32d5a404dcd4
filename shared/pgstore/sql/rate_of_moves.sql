-- What the last 10,000 moves achieved: tracks and bytes in a second in which anything was being
-- moved at all. A record that a lease gave back has been started anew, after it was finished.
WITH last AS (
	SELECT size, least(started_at, finished_at) AS started_at, finished_at FROM track_migrations
	WHERE state = 'migrated' AND storage_key LIKE 'tracks/%'
	ORDER BY finished_at DESC LIMIT 10000
), busy AS (
	SELECT sum(extract(epoch FROM upper(span) - lower(span)))::float8 AS seconds
	FROM (SELECT unnest(range_agg(tstzrange(started_at, finished_at))) AS span FROM last) AS spans
)
SELECT coalesce(count(*) / nullif(seconds, 0), 0), coalesce(sum(size)::float8 / nullif(seconds, 0), 0)
FROM last, busy GROUP BY seconds
