-- The uploads that were given up within the grace ($1) and whose track still waits for its first file.
SELECT u.id
FROM track_uploads u JOIN {{tracks}} t ON t.id = u.track_id
WHERE u.state IN ('expired', 'aborted') AND u.finished_at > now() - $1::interval
	AND t.status::text = 'uploading' AND t.deleted_at IS NULL
	AND NOT EXISTS (SELECT FROM track_uploads o WHERE o.track_id = u.track_id AND o.state = 'pending')
