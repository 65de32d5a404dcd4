-- One upload of a user's.
SELECT {{upload_columns}}
FROM track_uploads u
WHERE u.id = $1 AND u.user_id = $2
