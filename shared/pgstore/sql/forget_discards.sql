-- Drops notes of bytes that have been gone for longer than the grace. Those of tracks that are leased
-- stay, however old the lease is: a worker may be stopped that saw the bytes, and its flip is to find the
-- note. Those of deleted tracks' folders stay, see deleted_bytes.
DELETE FROM track_discards WHERE id IN (
	SELECT id FROM track_discards d
	WHERE gone_at <= now() - $1::interval AND NOT (reason = 'deleted' AND storage_key LIKE '%/')
		AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = d.track_id AND m.state = 'leased')
	ORDER BY id LIMIT $2 FOR UPDATE SKIP LOCKED)
