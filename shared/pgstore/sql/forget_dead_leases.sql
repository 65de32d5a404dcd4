-- Forgets every lease that has run out: its worker is dead, and its track may be one that
-- nobody will claim again, because a user replaced or deleted it.
WITH undone AS MATERIALIZED (
	SELECT m.track_id, {{has_record}} AS has_record, false AS waits
	FROM track_migrations m
	WHERE m.state = 'leased' AND m.lease_expires_at <= now() AND ({{has_record}} OR NOT {{wait_is_young}})
	ORDER BY m.track_id FOR UPDATE OF m
), {{undo}}
SELECT count(*) FROM undone
