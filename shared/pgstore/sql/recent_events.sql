-- The events after $1, at most $2, the oldest first; with $1 below 0 the newest $2.
SELECT seq, id, track_id, type, data, created_at, bus_state, coalesce(bus_error, ''), webhook_state, coalesce(webhook_error, '')
FROM (
	SELECT * FROM track_events WHERE $1 >= 0 AND seq > $1 ORDER BY seq LIMIT $2
) AS after
UNION ALL
SELECT seq, id, track_id, type, data, created_at, bus_state, coalesce(bus_error, ''), webhook_state, coalesce(webhook_error, '')
FROM (
	SELECT * FROM (SELECT * FROM track_events WHERE $1 < 0 ORDER BY seq DESC LIMIT $2) AS newest
) AS newest
ORDER BY seq
