-- Settles a batch of uploads: them, their tracks, and the notes of bytes that nothing names any more.
-- It returns those that it settled, and those that it has to leave, each with why.
--
-- It is right beside others of its kind at READ COMMITTED. Uploads, then tracks, then notes are
-- locked, each in an order of its own, so that two batches wait for each other and never in a
-- ring; a locking read returns a row's latest version and tests its conditions on that, so an
-- upload that another batch settled while this one waited is not open any more, and upload_seq
-- is that of the file that is really there. What reads tracks or track_uploads without a lock
-- would read this statement's snapshot, which may be older: so all that decides comes from the
-- locked rows. And it is decided in materialized steps, for an UPDATE that meets a row newer
-- than its snapshot tests it anew, and would run a subquery in its conditions again, over rows
-- that this statement has changed by then.
--
-- A track that somebody else has locked is left ('locked'), as if its event had not come yet:
-- waiting for it, this statement would hold the other tracks. One that the platform keeps as it
-- is, by a trigger or a policy, is left, too ('unchanged').
--
-- R5: a new file sets backend, key or path, pinned version and file version in one UPDATE.
-- Every stored file raises file_version, also one that a later ticket outran before it came,
-- so that the order of events does not show.
--
-- An expired upload is settled like any other, unless the removal of its bytes has begun (their
-- note is marked), its track is deleted, or a later ticket's file has overtaken it: then it stays
-- expired. Whoever locks the note first decides: the sweep marks it before it removes anything,
-- and this statement takes it back with the same stroke that makes the track name the bytes.
--
-- A crash before the commit changes nothing, and the event comes again. After it, nothing is
-- left to do: what the row named before is in track_discards.
--
-- A plan is made once for a connection, and maybe for tables that are empty then. So that none
-- reads them all, rows are looked up one by one, by LATERAL, and what the steps found is joined
-- by FULL JOIN, which is never a nested loop, or asked for by IN, which is looked up in a hash.
-- An UPDATE's own table cannot be looked up so: there a condition that always holds tells the
-- planner of few rows.
WITH input AS MATERIALIZED (
	SELECT i.* FROM (SELECT {{writer}}) AS settings, jsonb_to_recordset($1::jsonb) AS i
		(id uuid, reason text, detail text, version_id text, bucket text, size bigint, format text, content_type text)
), open AS MATERIALIZED (
	SELECT u.id, u.seq, u.track_id, u.state AS was, u.backend, u.storage_key,
		i.reason, i.detail, i.version_id, i.bucket, i.size, i.format, i.content_type
	FROM (SELECT * FROM input ORDER BY id) AS i CROSS JOIN LATERAL (
		SELECT * FROM track_uploads WHERE id = i.id AND state IN ('pending', 'expired') FOR UPDATE
	) AS u
), their_tracks AS MATERIALIZED (
	SELECT DISTINCT track_id FROM open ORDER BY track_id
), live AS MATERIALIZED (
	SELECT t.id, t.upload_seq, coalesce(t.storage_key, '') AS old_key, t.storage_bucket AS old_bucket, coalesce(t.file_path, '') AS old_path,
		t.status::text = 'uploading' AS is_new
	FROM their_tracks p CROSS JOIN LATERAL (
		SELECT * FROM {{tracks}} t WHERE t.id = p.track_id AND t.deleted_at IS NULL FOR NO KEY UPDATE SKIP LOCKED
	) AS t
), locked AS MATERIALIZED (
	-- They are there, and could not be locked. One that was deleted meanwhile comes again, too.
	SELECT p.track_id FROM their_tracks p
	WHERE p.track_id NOT IN (SELECT id FROM live)
		AND EXISTS (SELECT FROM {{tracks}} t WHERE t.id = p.track_id AND t.deleted_at IS NULL)
), notes AS MATERIALIZED (
	SELECT d.* FROM (
		SELECT backend, storage_key FROM open
		UNION SELECT 's3', old_key FROM live
		UNION SELECT 'local', old_path FROM live
		ORDER BY 1, 2
	) AS b CROSS JOIN LATERAL (
		SELECT id, backend, storage_key, removed_at FROM track_discards
		WHERE backend = b.backend AND storage_key = b.storage_key FOR UPDATE
	) AS d
), judged AS MATERIALIZED (
	SELECT o.*, live.upload_seq, live.old_key, live.old_bucket, live.old_path, live.is_new,
		CASE
			WHEN o.track_id IN (SELECT track_id FROM locked) THEN 'locked'
			WHEN o.was = 'expired' AND (live.id IS NULL OR o.seq < live.upload_seq
				OR (o.backend, o.storage_key) IN (SELECT backend, storage_key FROM notes WHERE removed_at IS NOT NULL))
			THEN 'expired'
			WHEN o.reason IS NOT NULL THEN 'failed'
			WHEN live.id IS NULL THEN 'aborted'
			ELSE 'stored'
		END AS verdict
	FROM open o FULL JOIN live ON live.id = o.track_id
), outcomes AS MATERIALIZED (
	SELECT j.*, CASE
			WHEN was = 'expired' AND verdict = 'stored' AND seq < max(seq) FILTER (WHERE verdict = 'stored') OVER (PARTITION BY track_id)
			THEN 'expired' ELSE verdict
		END AS state
	FROM judged j
), stored AS MATERIALIZED (
	SELECT o.*, count(*) OVER one_track AS files, seq = max(seq) OVER one_track AS latest
	FROM outcomes o WHERE state = 'stored'
	WINDOW one_track AS (PARTITION BY track_id)
), refusals AS MATERIALIZED (
	SELECT track_id FROM outcomes WHERE is_new GROUP BY track_id HAVING bool_and(state = 'failed')
), replaced AS (
	UPDATE {{tracks}} t
	SET storage_backend = n.backend,
		storage_key = CASE n.backend WHEN 's3' THEN n.storage_key END,
		storage_version_id = CASE n.backend WHEN 's3' THEN n.version_id END,
		storage_bucket = CASE n.backend WHEN 's3' THEN n.bucket END,
		file_path = CASE n.backend WHEN 'local' THEN n.storage_key ELSE '' END,
		file_version = t.file_version + n.files,
		upload_seq = n.seq,
		file_size = n.size,
		-- The platform's columns may be of types of its own, which not every value fits. As it
		-- is made when the row is, that is this row's fault and no other's.
		format = (jsonb_populate_record(t, jsonb_build_object('format', n.format))).format,
		content_type = (jsonb_populate_record(t, jsonb_build_object('content_type', n.content_type))).content_type,
		-- A platform's own values stay.
		status = CASE WHEN t.status::text IN ('uploading', 'failed')
			THEN (jsonb_populate_record(t, jsonb_build_object('status', 'ready'))).status ELSE t.status END,
		updated_at = now()
	FROM stored n
	WHERE t.id = n.track_id AND n.latest AND n.seq > n.upload_seq
	-- A trigger may have made something else of it: this is no uuid, and so an error that takes all back.
	RETURNING CASE
		WHEN (t.storage_backend::text, coalesce(t.storage_key::text, ''), coalesce(t.storage_version_id::text, ''), coalesce(t.file_path::text, ''))
			= (n.backend, CASE n.backend WHEN 's3' THEN n.storage_key ELSE '' END,
				CASE n.backend WHEN 's3' THEN coalesce(n.version_id, '') ELSE '' END,
				CASE n.backend WHEN 'local' THEN n.storage_key ELSE '' END)
		THEN t.id ELSE ('trackstore: a trigger makes something else of the row' || left(t.id::text, 0))::uuid
	END AS id, n.id AS upload_id, n.old_key = '' AND n.old_path = '' AS is_first, {{event_data}} AS data
), unchanged AS MATERIALIZED (
	SELECT track_id FROM stored WHERE latest AND seq > upload_seq AND track_id NOT IN (SELECT id FROM replaced)
), outrun AS (
	UPDATE {{tracks}} t SET file_version = t.file_version + n.files, updated_at = now()
	FROM stored n
	WHERE t.id = n.track_id AND n.latest AND n.seq < n.upload_seq
), refused AS (
	-- A new track whose first file is refused. One that has a file keeps what it had.
	UPDATE {{tracks}} t
	SET status = (jsonb_populate_record(t, jsonb_build_object('status', 'failed'))).status, updated_at = now()
	FROM refusals r
	WHERE t.id = r.track_id
), done AS MATERIALIZED (
	SELECT * FROM outcomes
	WHERE state IN ('failed', 'aborted') OR state = 'stored' AND track_id NOT IN (SELECT track_id FROM unchanged)
), told AS (
	INSERT INTO track_events (track_id, type, data)
	SELECT id, CASE WHEN is_first THEN 'ready' ELSE 'replaced' END, data || jsonb_build_object('upload_id', upload_id) FROM replaced
	UNION ALL
	SELECT o.track_id, 'failed', {{event_data}} || jsonb_build_object('upload_id', o.id, 'reason', o.reason, 'detail', o.detail)
		|| CASE WHEN o.track_id IN (SELECT track_id FROM refusals) THEN '{"status": "failed"}'::jsonb ELSE '{}' END
	FROM done o CROSS JOIN LATERAL (SELECT * FROM {{tracks}} t WHERE t.id = o.track_id OFFSET 0) AS t
	WHERE o.state = 'failed'
), given_up AS MATERIALIZED (
	SELECT DISTINCT ON (backend, storage_key) track_id, backend, storage_key, storage_bucket, reason FROM (
		SELECT track_id, 's3' AS backend, old_key AS storage_key, old_bucket AS storage_bucket, 'replaced' AS reason
		FROM stored WHERE latest AND seq > upload_seq AND old_key <> ''
		UNION ALL
		-- Also the copy on disk of a track that was migrated to S3.
		SELECT track_id, 'local', old_path, NULL, 'replaced'
		FROM stored WHERE latest AND seq > upload_seq AND old_path <> ''
		UNION ALL
		SELECT track_id, backend, storage_key, CASE backend WHEN 's3' THEN bucket END, 'replaced'
		FROM stored WHERE NOT latest OR seq < upload_seq
		UNION ALL
		SELECT track_id, backend, storage_key, CASE backend WHEN 's3' THEN bucket END, CASE state WHEN 'failed' THEN 'rejected' ELSE 'deleted' END
		FROM done WHERE state <> 'stored'
	) AS bytes
	WHERE track_id NOT IN (SELECT track_id FROM unchanged)
	ORDER BY backend, storage_key
), discarded AS (
	INSERT INTO track_discards AS d (track_id, backend, storage_key, storage_bucket, reason)
	SELECT track_id, backend, storage_key, storage_bucket, reason FROM given_up ORDER BY backend, storage_key
	-- A path can come to be named again, and be given up again: its grace begins anew. R6: a
	-- mark stays while its file may be there, for whoever set it is about to remove that.
	ON CONFLICT (backend, storage_key) DO UPDATE
	SET track_id = excluded.track_id, storage_bucket = excluded.storage_bucket, reason = excluded.reason, discarded_at = excluded.discarded_at,
		removed_at = CASE WHEN d.gone_at IS NULL THEN d.removed_at END, gone_at = NULL
), taken_back AS (
	DELETE FROM track_discards d WHERE d.id = ANY (ARRAY(
		SELECT id FROM notes
		WHERE removed_at IS NULL
			AND (backend, storage_key) IN (SELECT backend, storage_key FROM done WHERE state = 'stored' AND was = 'expired')
			AND (backend, storage_key) NOT IN (SELECT backend, storage_key FROM given_up)))
), settled AS (
	UPDATE track_uploads u
	SET state = o.state, reason = o.reason, detail = o.detail, storage_version_id = o.version_id, finished_at = now()
	FROM done o WHERE u.id = o.id AND u.id = ANY (ARRAY(SELECT id FROM done))
	RETURNING u.*
), left_alone AS (
	SELECT u.*, CASE o.state WHEN 'locked' THEN 'locked' ELSE 'unchanged' END AS why
	FROM (SELECT * FROM outcomes WHERE state = 'locked' OR state = 'stored' AND track_id IN (SELECT track_id FROM unchanged)) AS o
		CROSS JOIN LATERAL (SELECT * FROM track_uploads WHERE id = o.id OFFSET 0) AS u
)
SELECT {{upload_columns}}, '' FROM settled
UNION ALL
SELECT {{upload_columns}}, why FROM left_alone
