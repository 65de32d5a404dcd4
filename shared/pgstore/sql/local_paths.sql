-- The path of every track that needs its file, as file_in_use has it.
SELECT t.file_path FROM {{tracks}} t LEFT JOIN track_migrations m ON m.track_id = t.id
WHERE t.file_path <> '' AND {{is_kept}}
	AND (t.storage_backend = 'local' OR m.purged_at IS NULL
		AND (m.state = 'leased' AND m.direction = 'to_local' OR m.finished_at > now() - $1::interval))
