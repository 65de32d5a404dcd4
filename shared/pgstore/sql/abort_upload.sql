-- Gives open uploads of a user's up, also expired ones, and returns them: from here on their bytes
-- are not stored, whenever they come. The note is written by the statement that gives them up. A
-- PUT that is under way may still land: the sweep removes the key after the grace period.
WITH open AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE id = ANY ($1::text[]::uuid[]) AND user_id = $2 AND state IN ('pending', 'expired') AND ($3 OR multipart_id IS NULL)
	ORDER BY id FOR UPDATE
), aborted AS (
	UPDATE track_uploads u SET state = 'aborted', finished_at = now()
	FROM open WHERE u.id = open.id
	RETURNING u.*
), discarded AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'aborted' FROM aborted ORDER BY backend, storage_key
	ON CONFLICT (backend, storage_key) DO NOTHING
)
SELECT {{upload_columns}} FROM aborted
