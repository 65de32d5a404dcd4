-- The oldest $3 of a user's open uploads whose bytes nobody has looked for in the last $2: they
-- count as looked for from here on. One that somebody has locked is left: it is being settled.
-- With them, whether somebody else is looking at others right now.
WITH wanted AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE user_id = $1 AND state = 'pending' AND expires_at > now()
		AND (looked_at IS NULL OR looked_at < now() - $2::interval)
	ORDER BY seq LIMIT $3 FOR UPDATE SKIP LOCKED
), looked AS (
	UPDATE track_uploads u SET looked_at = now() FROM wanted WHERE u.id = wanted.id
	RETURNING u.id
)
SELECT ARRAY(SELECT id::text FROM looked), EXISTS (
	SELECT FROM track_uploads
	WHERE user_id = $1 AND state = 'pending' AND expires_at > now() AND looked_at > now() - interval '2 seconds'
)
