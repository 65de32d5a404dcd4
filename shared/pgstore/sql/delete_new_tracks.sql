-- Marks those of the tracks $2 as deleted that are abandoned, by the grace $1. Beneath lock_owners, so that no upload is
-- opened for one of them meanwhile. A crash before it leaves them to the next round, one after it to noteDeleted. One that
-- somebody has locked is left.
WITH free AS MATERIALIZED (
	SELECT t.id FROM {{tracks}} t WHERE t.id = ANY ($2::text[]::uuid[]) AND {{has_no_file}} AND {{is_abandoned}}
	FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {{tracks}} t SET deleted_at = now() FROM (SELECT {{writer}}) AS settings, free WHERE t.id = free.id
