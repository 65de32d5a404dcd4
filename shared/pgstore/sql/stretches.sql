-- The stretches of ids that a pass in direction $1 walks.
WITH ranges AS (SELECT * FROM track_migration_ranges WHERE direction = $1), {{stretches}}
SELECT is_behind, number, after_id, up_to FROM stretches WHERE after_id < up_to
