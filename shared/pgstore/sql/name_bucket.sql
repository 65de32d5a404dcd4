-- Makes tracks that lie on S3 name their bucket, where they name none. What somebody has locked
-- is left.
WITH free AS MATERIALIZED (
	SELECT t.id FROM {{tracks}} t
	WHERE t.id = ANY ($1::text[]::uuid[]) AND t.storage_backend = 's3' AND t.storage_bucket IS NULL
	ORDER BY t.id FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {{tracks}} t SET storage_bucket = $2 FROM (SELECT {{writer}}) AS settings WHERE t.id = ANY (ARRAY(SELECT id FROM free))
