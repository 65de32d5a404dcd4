-- Where those of the tracks are that exist and are not deleted.
SELECT t.id, t.storage_backend FROM {{tracks}} t WHERE t.id = ANY ($1::text[]::uuid[]) AND t.deleted_at IS NULL
