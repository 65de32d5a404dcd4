-- Marks a creator's track as deleted, and tells of it. Its bytes stay for the grace period, counted
-- from here.
WITH deleted AS (
	UPDATE {{tracks}} t SET deleted_at = now()
	WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL
	RETURNING t.id, {{event_data}} AS data
), told AS (
	INSERT INTO track_events (track_id, type, data) SELECT id, 'deleted', data FROM deleted
)
SELECT id FROM deleted
