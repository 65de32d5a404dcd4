-- The same, unless tracks are under way in the other direction. Answers with what holds then.
INSERT INTO track_migration_direction AS stored (direction) VALUES ($1)
ON CONFLICT (only_row) DO UPDATE
SET updated_at = CASE WHEN stored.direction = excluded.direction THEN stored.updated_at ELSE now() END,
	direction = CASE
		WHEN EXISTS (SELECT FROM track_migrations m
			WHERE m.state = 'leased' AND m.lease_expires_at > now() AND m.direction <> excluded.direction)
		THEN stored.direction ELSE excluded.direction END
RETURNING direction
