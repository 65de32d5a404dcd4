-- Whether a track's row is still as it was read.
SELECT EXISTS (SELECT FROM {{tracks}} t WHERE t.id = $1 AND t.deleted_at IS NULL
	AND t.file_version = $2 AND coalesce(t.file_path, '') = $3
	AND CASE t.storage_backend WHEN 's3' THEN t.storage_key ELSE '' END = $4)
