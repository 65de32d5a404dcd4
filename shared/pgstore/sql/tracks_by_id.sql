-- Tracks that are not deleted, whoever's they are.
SELECT {{track_columns}}
FROM {{tracks}} t
WHERE t.id = ANY ($1::text[]::uuid[]) AND t.deleted_at IS NULL
