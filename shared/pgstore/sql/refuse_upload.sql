-- Counts an attempt at an upload whose file the platform's table did not take. The last one ($2,
-- counted from 1) fails the upload: its bytes go like those of any other that is refused.
WITH tried AS (
	UPDATE track_uploads u
	SET attempts = u.attempts + 1,
		state = CASE WHEN u.attempts + 1 >= $2 THEN 'failed' ELSE u.state END,
		reason = CASE WHEN u.attempts + 1 >= $2 THEN 'platform_refused' END,
		detail = CASE WHEN u.attempts + 1 >= $2 THEN 'the platform''s table does not take the file' END,
		finished_at = CASE WHEN u.attempts + 1 >= $2 THEN now() ELSE u.finished_at END
	FROM (SELECT id FROM track_uploads WHERE id = $1 AND state IN ('pending', 'expired') FOR UPDATE) AS open
	WHERE u.id = open.id
	RETURNING u.*
), told AS (
	INSERT INTO track_events (track_id, type, data)
	SELECT u.track_id, 'failed', {{event_data}} || jsonb_build_object('upload_id', u.id, 'reason', u.reason, 'detail', u.detail)
	FROM (SELECT * FROM tried WHERE state = 'failed') AS u CROSS JOIN LATERAL (SELECT * FROM {{tracks}} t WHERE t.id = u.track_id OFFSET 0) AS t
), discarded AS (
	INSERT INTO track_discards AS d (track_id, backend, storage_key, reason)
	SELECT track_id, backend, storage_key, 'rejected' FROM tried WHERE state = 'failed'
	ON CONFLICT (backend, storage_key) DO UPDATE
	SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
		removed_at = CASE WHEN d.gone_at IS NULL THEN d.removed_at END, gone_at = NULL
)
SELECT {{upload_columns}} FROM tried WHERE state = 'failed'
