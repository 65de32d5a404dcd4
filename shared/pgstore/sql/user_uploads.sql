-- A page of a user's uploads, newest first, from the one after $3 on ($3 is null: from the
-- first). track_uploads_user_idx has them in this order, so that a page costs what it shows;
-- with a state, what the user has.
SELECT {{upload_columns}}
FROM track_uploads u
WHERE u.user_id = $1 AND ($2 = '' OR {{upload_state}} = $2)
	AND ($3::uuid IS NULL OR u.seq < (SELECT c.seq FROM track_uploads c WHERE c.id = $3::uuid AND c.user_id = $1))
ORDER BY u.seq DESC
LIMIT $4
