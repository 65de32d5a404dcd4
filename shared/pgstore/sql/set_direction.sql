-- From now on, tracks move in this direction. Every claim reads it.
INSERT INTO track_migration_direction AS stored (direction) VALUES ($1)
ON CONFLICT (only_row) DO UPDATE
SET direction = excluded.direction,
	updated_at = CASE WHEN stored.direction = excluded.direction THEN stored.updated_at ELSE now() END
