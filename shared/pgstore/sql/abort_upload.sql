-- Gives pending uploads of a user's up, and returns them. The discard is written by the statement
-- that gives the bytes up. A PUT that is under way may still land: the sweep removes the key
-- after the grace period.
WITH aborted AS (
	UPDATE track_uploads SET state = 'aborted', finished_at = now()
	WHERE id = ANY ($1::text[]::uuid[]) AND user_id = $2 AND state = 'pending' AND ($3 OR multipart_id IS NULL)
	RETURNING *
), discarded AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'aborted' FROM aborted
	ON CONFLICT DO NOTHING
)
SELECT {{upload_columns}} FROM aborted
