-- Drops notes of bytes that have been gone for longer than the grace. Those of tracks that are leased
-- stay, however old the lease is: a worker may be stopped that saw the bytes, and its flip is to find the
-- note. That of a deleted track's folder of uploads stays, see deleted_bytes, unless its row was deleted outright: then
-- nothing is left to look at, and it goes with the others, as does the record of the track's moves.
WITH due AS MATERIALIZED (
	SELECT id, track_id, reason FROM track_discards d
	WHERE gone_at <= now() - $1::interval AND NOT (reason = 'deleted' AND backend = 's3' AND storage_key LIKE 'uploads/%/')
		AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = d.track_id AND m.state = 'leased' OFFSET 0)
	ORDER BY gone_at LIMIT $limit FOR UPDATE OF d SKIP LOCKED
), removed AS MATERIALIZED (
	SELECT DISTINCT track_id FROM due WHERE reason = 'deleted' AND NOT EXISTS (SELECT FROM {{tracks}} t WHERE t.id = due.track_id OFFSET 0)
), records AS (
	DELETE FROM track_migrations WHERE track_id = ANY (ARRAY(SELECT track_id FROM removed)) AND state <> 'leased'
), folders AS MATERIALIZED (
	SELECT id FROM track_discards
	WHERE backend = 's3' AND storage_key = ANY (ARRAY(SELECT 'uploads/' || track_id || '/' FROM removed)) AND gone_at IS NOT NULL
	FOR UPDATE SKIP LOCKED
)
DELETE FROM track_discards WHERE id = ANY (ARRAY(SELECT id FROM due UNION SELECT id FROM folders))
