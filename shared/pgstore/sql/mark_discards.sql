-- Marks notes for removal whose bytes nothing names, and drops the others.
--
-- Whether something names the bytes of a note, or is about to: nothing is flipped to a name
-- whose bytes were removed, for a grace. A folder is named by its track. A deleted row names
-- what it did until its own grace is over. The note is locked first, as it is by whoever makes
-- a row name bytes again: so either that row is seen here, or the mark is seen there and the
-- row stays as it is. A note that was renewed meanwhile has a new grace, and is left out.
--
-- The mark comes before the removal (R6). A crash after it leaves a mark without removal;
-- the next sweep looks and marks again, and its mark is the one that counts for may_go. A row that is undeleted after its grace, at this
-- very moment, is too late.
WITH input AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($2::jsonb) AS i (id bigint, discarded_at timestamptz, names text[], needed boolean)
), notes AS MATERIALIZED (
	SELECT d.id, d.track_id, d.backend, d.storage_key, d.removed_at, i.names, i.needed
	FROM track_discards d JOIN input i ON i.id = d.id
	WHERE d.gone_at IS NULL AND d.discarded_at = i.discarded_at
	ORDER BY d.backend, d.storage_key FOR UPDATE OF d
), checked AS MATERIALIZED (
	SELECT n.id, CASE
		WHEN n.needed THEN true
		WHEN n.storage_key LIKE '%/' THEN EXISTS (SELECT FROM {{tracks}} t WHERE t.id = n.track_id AND {{is_kept}})
		WHEN EXISTS (SELECT FROM track_uploads u WHERE u.storage_key = n.storage_key AND u.state = 'pending') THEN true
		-- The copy of a move that did not come to its end, and that the next one makes by the same name.
		WHEN n.removed_at IS NULL AND EXISTS (SELECT FROM {{tracks}} t
			WHERE t.id = n.track_id AND {{is_kept}} AND CASE n.backend
				WHEN 's3' THEN t.storage_backend = 'local' AND starts_with(n.storage_key, 'tracks/' || t.id || '/' || t.file_version || '-')
				ELSE t.storage_backend = 's3' AND regexp_replace(n.storage_key, '\.[^./]*$', '') = 'restored/' || t.id || '/' || t.file_version
				END) THEN true
		WHEN n.backend = 's3' THEN EXISTS (SELECT FROM {{tracks}} t
			WHERE t.storage_backend = 's3' AND t.storage_key = n.storage_key AND {{is_kept}})
		ELSE EXISTS (SELECT FROM {{tracks}} t
			WHERE t.file_path = ANY (n.names) AND t.file_path <> '' AND {{is_kept}}
				-- A row on S3 names the copy that it left on disk until a purge, which compares the object first.
				AND (t.storage_backend = 'local' OR EXISTS (SELECT FROM track_migrations m
					WHERE m.track_id = t.id AND m.purged_at IS NULL)))
		END AS named
	FROM notes n
), wanted AS (
	DELETE FROM track_discards d USING checked c WHERE d.id = c.id AND c.named RETURNING d.id
), marked AS (
	UPDATE track_discards d SET removed_at = now()
	FROM checked c WHERE d.id = c.id AND NOT c.named
	RETURNING d.id
)
SELECT id, false FROM wanted UNION ALL SELECT id, true FROM marked
