-- Enters an upload, and with it its track where that is new, or says why not. Beneath lock_user.
--
-- The open uploads are counted in the order of the index of a user's own, which no other gives
-- without a sort: a plan from before the table grew would read everybody's.
--
-- A trigger of the platform's may swallow the new row, or make it another's: what is no uuid is
-- an error, which takes all back. It holds a column, for of a constant it would be one always.
WITH prior AS (
	SELECT id, request_hash FROM track_uploads WHERE user_id = $1 AND idempotency_key = $2
), verdict AS (
	SELECT CASE
		WHEN EXISTS (SELECT FROM prior WHERE request_hash = $3) THEN 'again'
		WHEN EXISTS (SELECT FROM prior) THEN 'conflict'
		WHEN $4::text IS NULL AND NOT EXISTS (
			SELECT FROM {{tracks}} t WHERE t.id = $5 AND t.creator_id = $1 AND t.deleted_at IS NULL
		) THEN 'no track'
		WHEN $6 <= (
			SELECT count(*) FROM (
				SELECT FROM track_uploads
				WHERE state = 'pending' AND (user_id, expires_at) > ($1, now()) AND (user_id, expires_at) <= ($1, 'infinity')
				ORDER BY user_id, expires_at LIMIT $6
			) AS open
		) THEN 'too many'
		ELSE 'opened'
	END AS verdict
), new_track AS (
	INSERT INTO {{tracks}} AS t (id, creator_id, title, file_path, status)
	SELECT $5, $1, $4, '', 'uploading' FROM (SELECT {{writer}}) AS settings, verdict WHERE verdict = 'opened' AND $4::text IS NOT NULL
	RETURNING t.id, t.creator_id
), opened AS (
	INSERT INTO track_uploads (id, track_id, user_id, method, backend, storage_key, part_size, size, max_size,
		format, content_type, checksum_algorithm, checksum_value, idempotency_key, request_hash, expires_at)
	SELECT $7, CASE
			WHEN $4::text IS NULL OR EXISTS (SELECT FROM new_track WHERE id = $5 AND creator_id = $1) THEN $5
			ELSE ('trackstore: a trigger keeps the new row out, or makes something else of it' || left(verdict, 0))::uuid
		END, $1, $8, $9, $10, nullif($11::bigint, 0), nullif($12::bigint, 0), $13,
		$14, $15, $16, $17, $2, $3, now() + $18::interval
	FROM verdict WHERE verdict = 'opened'
	RETURNING id, seq, created_at, expires_at
)
SELECT verdict, coalesce(opened.id, prior.id), coalesce(seq, 0),
	coalesce(created_at, now()), coalesce(expires_at, now())
FROM verdict LEFT JOIN opened ON true LEFT JOIN prior ON true
