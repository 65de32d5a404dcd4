-- A page of the tracks that need their file, as files_in_use has it, and its path.
SELECT t.id, t.file_path FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON true
WHERE t.file_path <> '' AND {{is_kept}}
	AND (t.storage_backend = 'local' OR m.purged_at IS NULL
		AND (m.state = 'leased' AND m.direction = 'to_local' OR m.finished_at > now() - $1::interval))
	AND t.id > coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT $limit
