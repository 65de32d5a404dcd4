-- The open uploads of a user's, those that end first, first.
SELECT id FROM track_uploads
WHERE user_id = $1 AND state = 'pending' AND expires_at > now() ORDER BY expires_at
