-- Frees every failure, so that its track can be claimed again.
WITH held AS MATERIALIZED (
	SELECT m.track_id, {{records_flip}} AS records_flip
	FROM track_migrations m WHERE {{is_failure}}
	ORDER BY m.track_id FOR UPDATE OF m
), {{forget_held}}
