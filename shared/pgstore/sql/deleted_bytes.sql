-- What the next $limit tracks leave that were deleted longer than the grace ($1) ago, from the position $2 on: the object and
-- the file that the row names, and its folders, for whatever else is in them. Once noted, the folder of uploads tells for
-- ever that the track was looked at, and it leaves nothing. With that, how many tracks were looked at, and the last position.
WITH looked AS MATERIALIZED (
	SELECT t.id, t.deleted_at, coalesce(t.storage_key, '') AS storage_key, coalesce(t.storage_bucket, '') AS bucket, coalesce(t.file_path, '') AS file_path, {{is_noted}} AS is_noted
	FROM {{tracks}} t
	WHERE t.deleted_at <= now() - $1::interval AND (t.deleted_at, t.id) > {{position}} AND {{adopted_at}} <= now() - $1::interval
	ORDER BY t.deleted_at, t.id LIMIT $limit
), bytes AS (
	SELECT track.id, track.deleted_at, track.bucket, left_there.backend, left_there.key
	FROM looked AS track CROSS JOIN LATERAL (VALUES
		('s3', track.storage_key), ('local', track.file_path), ('s3', 'uploads/' || track.id || '/'), ('s3', 'tracks/' || track.id || '/'),
		('local', 'uploads/' || track.id || '/'), ('local', 'restored/' || track.id || '/')
	) AS left_there (backend, key)
	WHERE NOT track.is_noted AND left_there.key <> ''
)
SELECT (SELECT count(*) FROM looked),
	coalesce((SELECT deleted_at::text || '/' || id FROM looked ORDER BY deleted_at DESC, id DESC LIMIT 1), ''),
	coalesce((SELECT jsonb_agg(jsonb_build_object('track_id', id, 'backend', backend, 'key', key, 'reason', 'deleted', 'discarded_at', deleted_at,
		'bucket', CASE backend WHEN 's3' THEN bucket ELSE '' END)
		ORDER BY deleted_at, id, backend, key) FROM bytes), '[]')
