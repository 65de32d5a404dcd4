-- Records the backend's id of a multipart upload, unless there is one, and returns the one that holds.
UPDATE track_uploads SET multipart_id = coalesce(multipart_id, $2)
WHERE id = $1 AND state = 'pending' RETURNING multipart_id
