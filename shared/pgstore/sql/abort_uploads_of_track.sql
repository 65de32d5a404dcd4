-- Gives up the open uploads of a track that is about to be deleted: they take no more bytes, and
-- no more of their user's places. They are locked before the track, as by settle_uploads; one
-- that is opened at this very moment is found to be of a deleted track when its bytes have come.
WITH open AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE track_id = $1 AND state = 'pending'
		AND EXISTS (SELECT FROM {{tracks}} t WHERE t.id = $1 AND t.creator_id = $2 AND t.deleted_at IS NULL)
	ORDER BY id FOR UPDATE
), aborted AS (
	UPDATE track_uploads u SET state = 'aborted', finished_at = now()
	FROM open WHERE u.id = open.id
	RETURNING u.*
)
INSERT INTO track_discards (track_id, backend, storage_key, reason)
SELECT track_id, backend, storage_key, 'deleted' FROM aborted ORDER BY backend, storage_key
ON CONFLICT (backend, storage_key) DO NOTHING
