-- Makes a track's row name another version of the same object, in this bucket, while it is still as
-- it was read. A row that somebody has locked is left, and comes again with the next repair.
WITH free AS MATERIALIZED (
	SELECT t.id FROM {{tracks}} t
	WHERE t.id = $1 AND t.storage_backend = 's3' AND t.deleted_at IS NULL AND t.file_version = $2 AND t.storage_key = $3
		AND coalesce(t.storage_version_id, '') = $4
	FOR NO KEY UPDATE SKIP LOCKED
), repinned AS (
	UPDATE {{tracks}} t SET storage_version_id = nullif($5, ''), storage_bucket = $6
	FROM (SELECT {{writer}}) AS settings, free WHERE t.id = free.id
	RETURNING t.id
)
SELECT EXISTS (SELECT FROM repinned)
