-- How many tracks lie where, by the state of their move. A state counts for the file version
-- that it is of, and a finished move for as long as the track is where it was moved to.
SELECT t.storage_backend, CASE WHEN m.state = 'leased' AND m.lease_expires_at <= now() THEN '' ELSE coalesce(m.state, '') END, count(*)
FROM {{tracks}} t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
	AND (m.state <> 'migrated' OR m.direction = CASE t.storage_backend WHEN 's3' THEN 'to_s3' ELSE 'to_local' END)
WHERE t.deleted_at IS NULL AND (t.storage_backend = 's3' OR t.file_path <> '')
	-- A deleted track's object is there until the sweep notes it, and is in the way of a schema down.
	OR t.deleted_at IS NOT NULL AND t.storage_backend = 's3' AND NOT {{is_noted}}
GROUP BY 1, 2
