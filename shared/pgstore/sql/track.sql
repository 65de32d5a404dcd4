-- One of a creator's tracks. The columns may be a platform's own, hence the casts.
SELECT id, creator_id, coalesce(title::text, ''), coalesce(status::text, ''), coalesce(format::text, ''),
	coalesce(content_type::text, ''), coalesce(file_size, 0), created_at, updated_at,
	storage_backend, storage_key, coalesce(storage_version_id, ''), coalesce(file_path, ''), file_version
FROM {{tracks}} t
WHERE id = $1 AND creator_id = $2 AND deleted_at IS NULL
