-- The pending uploads, those that end first, first.
SELECT {{upload_columns}}
FROM track_uploads
WHERE state = 'pending' AND (expires_at, id) > ($1, $2::text::uuid)
ORDER BY expires_at, id LIMIT $3
