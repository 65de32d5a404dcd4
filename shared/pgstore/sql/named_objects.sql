-- Which of these keys tracks name that are not deleted: the tracks whose ids the keys hold, $2, or with NULL whichever.
SELECT t.storage_key FROM {{tracks}} t
WHERE t.storage_key = ANY ($1::text[]) AND t.storage_backend = 's3' AND t.deleted_at IS NULL
	AND ($2::text[] IS NULL OR t.id = ANY ($2::text[]::uuid[]))
