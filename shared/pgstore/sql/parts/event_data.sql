-- The data of an event: track t as the API has it, and where it lies.
jsonb_build_object(
	'track_id', t.id, 'owner_id', t.creator_id, 'title', t.title, 'status', t.status,
	'format', t.format, 'content_type', t.content_type, 'size', t.file_size,
	'created_at', to_char(coalesce(t.created_at, t.updated_at, 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	'updated_at', to_char(coalesce(t.updated_at, t.created_at, 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
	'storage_backend', t.storage_backend, 'storage_bucket', t.storage_bucket, 'storage_key', t.storage_key, 'storage_version_id', t.storage_version_id)
