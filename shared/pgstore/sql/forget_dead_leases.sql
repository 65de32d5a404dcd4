-- Forgets every lease that has run out: its worker is dead, and its track may be one that
-- nobody will claim again, because a user replaced or deleted it.
WITH held AS MATERIALIZED (
	SELECT m.track_id, {{records_flip}} AS records_flip
	FROM track_migrations m WHERE m.state = 'leased' AND m.lease_expires_at <= now()
	ORDER BY m.track_id FOR UPDATE OF m
), {{forget_held}}
