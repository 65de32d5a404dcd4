-- The newest tracks of all creators, each with where it stands in the migration.
SELECT t.id, coalesce(t.title::text, ''), coalesce(t.status::text, ''), coalesce(t.format::text, ''),
	coalesce(t.content_type::text, ''), coalesce(t.file_size, 0), coalesce(t.created_at, t.updated_at, 'epoch'), coalesce(t.updated_at, t.created_at, 'epoch'),
	t.storage_backend, coalesce(m.state, ''), coalesce(m.error, '')
FROM {{tracks}} t
-- A state belongs to one file version: a replaced file starts anew.
LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
WHERE t.deleted_at IS NULL
ORDER BY t.created_at DESC, t.id DESC LIMIT $1
