-- Marks a creator's track as deleted, and tells of it. Its bytes stay for the grace period, counted
-- from here. Where somebody else has locked it, this is an error at once: waiting, it would hold the
-- uploads. Where the platform keeps the row as it is, what is no uuid is an error, which takes all
-- back.
WITH free AS MATERIALIZED (
	SELECT t.id FROM {{tracks}} t WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL FOR NO KEY UPDATE NOWAIT
), deleted AS (
	UPDATE {{tracks}} t SET deleted_at = now()
	FROM (SELECT {{writer}}) AS settings, free WHERE t.id = free.id
	RETURNING t.id, {{event_data}} AS data
), told AS (
	INSERT INTO track_events (track_id, type, data) SELECT id, 'deleted', data FROM deleted
)
SELECT CASE WHEN t.id IN (SELECT id FROM deleted) THEN t.id
	ELSE ('trackstore: the row stays as it was, by a trigger or a policy' || left(t.id::text, 0))::uuid END
FROM {{tracks}} t WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL
