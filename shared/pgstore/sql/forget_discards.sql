-- Drops notes of bytes that have been gone for longer than the grace: no worker that once saw
-- those bytes is still at work. Those of deleted tracks' folders stay, see deleted_bytes.
DELETE FROM track_discards WHERE id IN (
	SELECT id FROM track_discards
	WHERE gone_at <= now() - $1::interval AND NOT (reason = 'deleted' AND storage_key LIKE '%/')
	ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
