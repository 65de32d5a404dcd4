-- A new title for one of a creator's tracks. It is one row, and no other is held meanwhile.
UPDATE {{tracks}} t SET title = $3, updated_at = now()
FROM (SELECT {{writer}}) AS settings
WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL
RETURNING {{track_columns}}
