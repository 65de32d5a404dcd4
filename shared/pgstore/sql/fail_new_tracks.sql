-- Fails the new tracks of uploads for which nothing is open any more: else they would count as
-- uploading for ever. Another file for the track makes it ready all the same.
UPDATE {{tracks}} t SET status = 'failed', updated_at = now()
WHERE t.id IN (SELECT track_id FROM track_uploads WHERE id = ANY ($1::text[]::uuid[]))
	AND t.status::text = 'uploading' AND t.storage_backend = 'local' AND coalesce(t.file_path, '') = ''
	AND NOT EXISTS (SELECT FROM track_uploads u WHERE u.track_id = t.id AND u.state = 'pending')
