-- In which direction tracks move, and how many are leased in either: of some ids ($1, $2), or of all.
SELECT coalesce((SELECT direction FROM track_migration_direction), 'to_s3'), count(*), min(lease_expires_at) - now()
FROM track_migrations
WHERE state = 'leased' AND lease_expires_at > now() AND (NOT $1::boolean OR track_id = ANY ($2::text[]::uuid[]))
