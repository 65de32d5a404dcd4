-- Removes events that are at their end for every receiver and older than $1, and those that nobody
-- took for the time $2, up to $limit of each at a time, the oldest first. The dead stay until somebody
-- has freed them, or the longer time is over.
WITH finished AS MATERIALIZED (
	SELECT seq FROM track_events
	WHERE created_at < now() - $1::interval
		AND bus_state IN ('delivered', 'none') AND webhook_state IN ('delivered', 'none')
	ORDER BY created_at LIMIT $limit FOR UPDATE SKIP LOCKED
), ignored AS MATERIALIZED (
	SELECT seq FROM track_events WHERE created_at < now() - $2::interval
	ORDER BY created_at LIMIT $limit FOR UPDATE SKIP LOCKED
)
DELETE FROM track_events WHERE seq = ANY (ARRAY(SELECT seq FROM finished UNION SELECT seq FROM ignored))
