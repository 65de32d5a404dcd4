-- Fails the new tracks of uploads for which nothing is open any more: else they would count as
-- uploading for ever. Another file for the track, also a late one, makes it ready all the same.
--
-- The uploads were given up in a transaction before this one: so of two that give up the last
-- two uploads of a track, at least one sees here that nothing is open. A track that somebody has
-- locked is left, and is found by the next sweep.
WITH free AS MATERIALIZED (
	SELECT t.id FROM {{tracks}} t
	WHERE t.id IN (SELECT track_id FROM track_uploads WHERE id = ANY ($1::text[]::uuid[]))
		AND t.status::text = 'uploading' AND t.storage_backend = 'local' AND coalesce(t.file_path, '') = ''
		AND NOT EXISTS (SELECT FROM track_uploads u WHERE u.track_id = t.id AND u.state = 'pending')
	FOR NO KEY UPDATE SKIP LOCKED
)
UPDATE {{tracks}} t
SET status = (jsonb_populate_record(t, jsonb_build_object('status', 'failed'))).status, updated_at = now()
FROM (SELECT {{writer}}) AS settings, free WHERE t.id = free.id
