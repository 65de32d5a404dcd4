-- Looks at the next $limit uploads that came to nothing longer than $3 ago, from the position $2 on, for tracks that never got a
-- file. Returns how many it looked at, the last position, those uploads whose track still waits and has nothing open any more, and the
-- tracks that are abandoned, by the grace $1.
WITH looked AS MATERIALIZED (
	SELECT id, track_id, finished_at FROM (
		SELECT id, track_id, finished_at FROM track_uploads
		WHERE state IN ('failed', 'expired', 'aborted') AND (finished_at, id) > {{position}}
		ORDER BY finished_at, id LIMIT $limit
	) AS next
	WHERE finished_at <= now() - $3::interval -- not within: the planner would take all of them for few, and sort them
), waiting AS MATERIALIZED (
	SELECT l.id, t.id AS track_id, t.is_uploading, t.is_abandoned
	FROM looked l CROSS JOIN LATERAL (
		SELECT t.id, t.status::text = 'uploading' AS is_uploading, {{is_abandoned}} AS is_abandoned
		FROM {{tracks}} t WHERE t.id = l.track_id AND {{has_no_file}} OFFSET 0
	) AS t
)
SELECT (SELECT count(*) FROM looked),
	coalesce((SELECT finished_at::text || '/' || id FROM looked ORDER BY finished_at DESC, id DESC LIMIT 1), ''),
	ARRAY(SELECT w.id FROM waiting w WHERE w.is_uploading
		AND NOT EXISTS (SELECT FROM track_uploads o WHERE o.track_id = w.track_id AND o.state = 'pending')),
	ARRAY(SELECT DISTINCT track_id FROM waiting WHERE is_abandoned)
