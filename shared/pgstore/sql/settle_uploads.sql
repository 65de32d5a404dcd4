-- Settles a batch of uploads: them, their tracks, and the discards that follow.
--
-- It is right beside others of its kind at READ COMMITTED. Uploads and then tracks are
-- locked in the order of id, so that two batches wait for each other and never in a ring;
-- a locking read returns a row's latest version and tests its conditions on that, so an
-- upload that another batch settled while this one waited is not pending any more, and
-- upload_seq is that of the file that is really there. What reads tracks or track_uploads
-- without a lock would read this statement's snapshot, which may be older: so all that
-- decides comes from the locked rows. And it is decided in materialized steps, for an
-- UPDATE that meets a row newer than its snapshot tests it anew, and would run a subquery
-- in its conditions again, over rows that this statement has changed by then.
--
-- R5: a new file sets backend, key or path, pinned version and file version in one UPDATE.
-- Every stored file raises file_version, also one that a later ticket outran before it
-- came, so that the order of events does not show.
--
-- A crash before the commit changes nothing, and the event comes again. After it, nothing
-- is left to do: what the row named before is in track_discards.
--
-- A plan is made once for a connection, and maybe for tables that are empty then. So that
-- none reads them all, rows are looked up one by one, by LATERAL, and what the steps found
-- is joined by FULL JOIN, which is never a nested loop. An UPDATE's own table cannot be
-- looked up so: there a condition that always holds tells the planner of few rows.
WITH input AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS i
		(id uuid, reason text, detail text, version_id text, size bigint, format text, content_type text)
), pending AS MATERIALIZED (
	SELECT u.id, u.seq, u.track_id, u.backend, u.storage_key, i.reason, i.detail, i.version_id, i.size, i.format, i.content_type
	FROM (SELECT * FROM input ORDER BY id) AS i CROSS JOIN LATERAL (
		SELECT * FROM track_uploads WHERE id = i.id AND state = 'pending' FOR UPDATE
	) AS u
), live AS MATERIALIZED (
	SELECT t.id, t.upload_seq, coalesce(t.storage_key, '') AS old_key, coalesce(t.file_path, '') AS old_path,
		t.status::text = 'uploading' AS is_new
	FROM (SELECT DISTINCT track_id FROM pending ORDER BY track_id) AS p CROSS JOIN LATERAL (
		SELECT * FROM {{tracks}} t WHERE t.id = p.track_id AND t.deleted_at IS NULL FOR NO KEY UPDATE
	) AS t
), outcomes AS MATERIALIZED (
	SELECT p.*, live.upload_seq, live.old_key, live.old_path, live.is_new,
		CASE WHEN p.reason IS NOT NULL THEN 'failed' WHEN live.id IS NULL THEN 'aborted' ELSE 'stored' END AS state
	FROM pending p FULL JOIN live ON live.id = p.track_id
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
		file_path = CASE n.backend WHEN 'local' THEN n.storage_key ELSE '' END,
		file_version = t.file_version + n.files,
		upload_seq = n.seq,
		file_size = n.size, format = n.format, content_type = n.content_type,
		-- A platform's own values stay.
		status = CASE WHEN t.status::text IN ('uploading', 'failed') THEN 'ready' ELSE t.status END,
		updated_at = now()
	FROM stored n
	WHERE t.id = n.track_id AND n.latest AND n.seq > n.upload_seq
), outrun AS (
	UPDATE {{tracks}} t SET file_version = t.file_version + n.files, updated_at = now()
	FROM stored n
	WHERE t.id = n.track_id AND n.latest AND n.seq < n.upload_seq
), refused AS (
	-- A new track whose first file is refused. One that has a file keeps what it had.
	UPDATE {{tracks}} t SET status = 'failed', updated_at = now()
	FROM refusals r
	WHERE t.id = r.track_id
), discarded AS (
	INSERT INTO track_discards AS d (track_id, backend, storage_key, reason)
	SELECT DISTINCT ON (backend, storage_key) track_id, backend, storage_key, reason FROM (
		SELECT track_id, 's3' AS backend, old_key AS storage_key, 'replaced' AS reason
		FROM stored WHERE latest AND seq > upload_seq AND old_key <> ''
		UNION ALL
		-- Also the copy on disk of a track that was migrated to S3.
		SELECT track_id, 'local', old_path, 'replaced'
		FROM stored WHERE latest AND seq > upload_seq AND old_path <> ''
		UNION ALL
		SELECT track_id, backend, storage_key, 'replaced'
		FROM stored WHERE NOT latest OR seq < upload_seq
		UNION ALL
		SELECT track_id, backend, storage_key, CASE state WHEN 'failed' THEN 'rejected' ELSE 'deleted' END
		FROM outcomes WHERE state <> 'stored'
	) AS bytes ORDER BY backend, storage_key
	-- A path can come to be named again, and be given up again: its grace begins anew. R6: a
	-- mark stays while its file may be there, for whoever set it is about to remove that.
	ON CONFLICT (backend, storage_key) DO UPDATE
	SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at,
		removed_at = CASE WHEN d.gone_at IS NULL THEN d.removed_at END, gone_at = NULL
), settled AS (
	UPDATE track_uploads u
	SET state = o.state, reason = o.reason, detail = o.detail, storage_version_id = o.version_id, finished_at = now()
	FROM outcomes o WHERE u.id = o.id AND o.state IN ('stored', 'failed', 'aborted')
	RETURNING u.*
)
SELECT {{upload_columns}} FROM settled
