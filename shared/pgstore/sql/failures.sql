-- The tracks whose current file could not be moved; of some ids ($1, $2), or of all; in one
-- direction ($3), or in either.
SELECT m.track_id, coalesce(t.file_path, ''), m.state, coalesce(m.error, '')
FROM track_migrations m JOIN {{tracks}} t ON t.id = m.track_id AND t.file_version = m.file_version
WHERE {{is_failure}} AND t.deleted_at IS NULL
	AND t.storage_backend = CASE m.direction WHEN 'to_s3' THEN 'local' ELSE 's3' END
	AND (NOT $1::boolean OR m.track_id = ANY ($2::text[]::uuid[])) AND $3 IN ('', m.direction)
ORDER BY m.track_id
