-- Expired uploads whose bytes may still come, or are there: within their grace ($1), with their
-- removal not begun. The newest first, for those are the likeliest to come; from the one after
-- ($2, $3) on. What another sweep looked at since this one began ($5 ago) is left out: looking at
-- it counts from here.
WITH wanted AS MATERIALIZED (
	SELECT u.id, u.finished_at FROM track_uploads u
	WHERE u.state = 'expired' AND u.finished_at > now() - $1::interval AND (u.finished_at, u.id) < ($2, $3::text::uuid)
		AND (u.looked_at IS NULL OR u.looked_at < now() - $5::interval)
		AND NOT EXISTS (SELECT FROM track_discards d
			WHERE d.backend = u.backend AND d.storage_key = u.storage_key AND d.removed_at IS NOT NULL)
	ORDER BY u.finished_at DESC, u.id DESC LIMIT $4 FOR UPDATE OF u SKIP LOCKED
), looked AS (
	UPDATE track_uploads u SET looked_at = now() FROM wanted WHERE u.id = wanted.id
	RETURNING u.*
)
SELECT {{upload_columns}} FROM looked ORDER BY finished_at DESC, id DESC
