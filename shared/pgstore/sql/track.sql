-- One of a creator's tracks.
SELECT {{track_columns}}
FROM {{tracks}} t
WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL
