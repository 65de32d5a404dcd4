-- Forgets where runs in direction $1 walk: the next one draws anew.
DELETE FROM track_migration_ranges WHERE direction = $1
