-- Makes leases last longer, those that are still held.
UPDATE track_migrations m SET lease_expires_at = now() + $3::interval
FROM unnest($1::text[]::uuid[], $2::text[]::uuid[]) AS held (track_id, token)
WHERE m.track_id = held.track_id AND m.lease_token = held.token AND m.state = 'leased'
