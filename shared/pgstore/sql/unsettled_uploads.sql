-- The pending uploads, those that end first, first, from the one after ($1, $2) on. What another
-- sweep looked at since this one began ($4 ago) is left out: looking at it counts from here.
WITH wanted AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE state = 'pending' AND (expires_at, id) > ($1, $2::text::uuid)
		AND (looked_at IS NULL OR looked_at < now() - $4::interval)
	ORDER BY expires_at, id LIMIT $3 FOR UPDATE SKIP LOCKED
), looked AS (
	UPDATE track_uploads u SET looked_at = now() FROM wanted WHERE u.id = wanted.id
	RETURNING u.*
)
SELECT {{upload_columns}} FROM looked ORDER BY expires_at, id
