-- Marks a creator's track as deleted. Its bytes stay for the grace period, counted from here.
UPDATE {{tracks}} t SET deleted_at = now()
WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL
RETURNING t.id
