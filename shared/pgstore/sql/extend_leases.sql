-- Makes leases last longer, those that are still held. One that is being settled at this moment
-- is left: nobody waits here.
WITH held AS MATERIALIZED (
	SELECT m.track_id FROM unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS given (track_id, token)
	CROSS JOIN LATERAL (
		SELECT track_id FROM track_migrations
		WHERE track_id = given.track_id AND lease_token = given.token AND state = 'leased' FOR UPDATE SKIP LOCKED
	) AS m
)
UPDATE track_migrations m SET lease_expires_at = now() + $3::interval
FROM held WHERE m.track_id = held.track_id AND m.track_id = ANY (ARRAY(SELECT track_id FROM held))
