-- The key after which the sweep goes on to look through versions, '' for the first.
SELECT coalesce((SELECT after_key FROM track_sweep_positions WHERE prefix = $1), '')
