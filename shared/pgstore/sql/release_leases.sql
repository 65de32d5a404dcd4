-- Gives leases back, those that are still held, as if they had never been taken.
WITH undone AS MATERIALIZED (
	SELECT m.track_id, {{has_record}} AS has_record, {{wait_is_young}} AS waits
	FROM track_migrations m
	JOIN unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS given (track_id, token)
		ON m.track_id = given.track_id AND m.lease_token = given.token AND m.state = 'leased'
	ORDER BY m.track_id FOR UPDATE OF m
), {{undo}}
SELECT count(*) FROM undone
