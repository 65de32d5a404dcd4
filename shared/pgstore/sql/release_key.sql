-- Frees a user's idempotency key of an upload that is over. A key lives as long as its upload,
-- and no longer than the track. An upload that is overdue keeps its state, for its bytes may
-- have come: it is for the sweep to look.
UPDATE track_uploads u SET idempotency_key = NULL, request_hash = NULL
WHERE user_id = $1 AND idempotency_key = $2
	AND (state IN ('failed', 'expired', 'aborted') OR state = 'pending' AND expires_at <= now()
		OR NOT EXISTS (SELECT FROM {{tracks}} t WHERE t.id = u.track_id AND t.deleted_at IS NULL))
