-- A page of what can be claimed, now or when its lease is over, without leasing it; whether its local copy was purged,
-- and when it was moved, as far as that is known.
SELECT t.id, t.file_version, coalesce(t.file_path, ''),
	EXISTS (SELECT FROM track_migrations m WHERE m.track_id = t.id AND m.storage_key = t.storage_key AND m.purged_at IS NOT NULL),
	t.storage_key, t.storage_version_id, t.storage_bucket,
	NULL::bigint, NULL::text,
	(SELECT m.finished_at FROM track_migrations m WHERE m.track_id = t.id AND m.storage_key = t.storage_key), coalesce(t.file_size, 0)
{{remaining_to_local}}
	AND t.id > coalesce($4::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
