-- Whose companion session a token stands for, while it lasts.
SELECT user_id FROM companion_sessions WHERE token_hash = $1 AND expires_at > now()
