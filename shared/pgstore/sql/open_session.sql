-- Enters a companion session, and removes a few that are over: so the table stays as small as the
-- number of live ones, and the sweep finds little to do.
WITH over AS (
	DELETE FROM companion_sessions WHERE token_hash = ANY (ARRAY(
		SELECT token_hash FROM companion_sessions WHERE expires_at < now()
		ORDER BY expires_at LIMIT 10 FOR UPDATE SKIP LOCKED))
)
INSERT INTO companion_sessions (token_hash, user_id, expires_at)
VALUES ($1, $2, now() + $3::interval) RETURNING expires_at
