-- Notes that the rows of leases are locked by others, and answers since how many seconds they were
-- each time that somebody looked.
UPDATE track_migrations m
SET locked_since = CASE WHEN {{wait_is_young}} THEN m.locked_since ELSE now() END, locked_at = now()
FROM unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS held (track_id, token)
WHERE m.track_id = held.track_id AND m.lease_token = held.token AND m.state = 'leased'
RETURNING m.track_id, extract(epoch FROM now() - m.locked_since)::float8
