-- Drops notes of bytes that have been gone for longer than the grace. Those of tracks that are leased
-- stay, however old the lease is: a worker may be stopped that saw the bytes, and its flip is to find the
-- note. That of a deleted track's folder of uploads stays, see deleted_bytes.
DELETE FROM track_discards WHERE id = ANY (ARRAY(
	SELECT id FROM track_discards d
	WHERE gone_at <= now() - $1::interval AND NOT (reason = 'deleted' AND backend = 's3' AND storage_key LIKE 'uploads/%/')
		AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = d.track_id AND m.state = 'leased' OFFSET 0)
	ORDER BY gone_at LIMIT $limit FOR UPDATE OF d SKIP LOCKED))
