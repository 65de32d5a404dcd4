-- Expires those of the uploads that are pending and overdue, and returns them. Their bytes may
-- still come, or be there by now: until their grace is over they are looked for. They are noted
-- for removal by the statement that gives them up, so that no crash forgets them.
WITH overdue AS MATERIALIZED (
	SELECT id FROM track_uploads
	WHERE id = ANY ($1::text[]::uuid[]) AND state = 'pending' AND expires_at <= now()
	ORDER BY id FOR UPDATE
), expired AS (
	UPDATE track_uploads u SET state = 'expired', finished_at = now()
	FROM overdue WHERE u.id = overdue.id
	RETURNING u.*
), discarded AS (
	INSERT INTO track_discards (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'expired' FROM expired ORDER BY backend, storage_key
	ON CONFLICT (backend, storage_key) DO NOTHING
)
SELECT {{upload_columns}} FROM expired
