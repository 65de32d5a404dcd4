-- A new title for one of a creator's tracks. One that somebody else has locked is an error at once.
WITH free AS MATERIALIZED (
	SELECT t.id AS free_id FROM {{tracks}} t
	WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL FOR NO KEY UPDATE NOWAIT
)
UPDATE {{tracks}} t SET title = $3, updated_at = now()
FROM (SELECT {{writer}}) AS settings, free
WHERE t.id = free.free_id
RETURNING {{track_columns}}
