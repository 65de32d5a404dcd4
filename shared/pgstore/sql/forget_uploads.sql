-- Removes tickets that were over longer than $1 ago, up to $limit, the oldest first. Their bytes are the
-- track's, or were given up then and have a note of their own; their idempotency keys are free again.
DELETE FROM track_uploads WHERE id = ANY (ARRAY(
	SELECT id FROM track_uploads WHERE finished_at < now() - $1::interval
	ORDER BY finished_at LIMIT $limit FOR UPDATE SKIP LOCKED))
