-- Removes companion sessions that are over, up to $limit, the oldest first.
DELETE FROM companion_sessions WHERE token_hash = ANY (ARRAY(
	SELECT token_hash FROM companion_sessions WHERE expires_at < now()
	ORDER BY expires_at LIMIT $limit FOR UPDATE SKIP LOCKED))
