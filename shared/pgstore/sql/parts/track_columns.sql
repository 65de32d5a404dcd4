-- What scanTrack reads, of {{tracks}} t. The columns may be a platform's own, hence the casts.
t.id, t.creator_id, coalesce(t.title::text, ''), coalesce(t.status::text, ''), coalesce(t.format::text, ''),
	coalesce(t.content_type::text, ''), coalesce(t.file_size, 0), coalesce(t.created_at, t.updated_at, 'epoch'), coalesce(t.updated_at, t.created_at, 'epoch'),
	t.storage_backend, t.storage_key, coalesce(t.storage_version_id, ''), coalesce(t.storage_bucket, ''), coalesce(t.file_path, ''), t.file_version
