-- Frees every failure, so that its track can be claimed again.
WITH undone AS MATERIALIZED (
	SELECT m.track_id, {{has_record}} AS has_record, false AS waits
	FROM track_migrations m WHERE {{is_failure}}
	ORDER BY m.track_id FOR UPDATE OF m
), {{undo}}
SELECT count(*) FROM undone
