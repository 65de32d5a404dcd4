-- Which files a track needs that it names by one of their paths: it is local; or a rollback
-- of it is under way; or it was moved to S3 within grace, and a database that is restored may
-- name the file again. A track that was deleted within grace needs what it did before.
SELECT DISTINCT names.number FROM (
	SELECT i.number, unnest(i.paths) AS path FROM jsonb_to_recordset($2::jsonb) AS i (number int, paths text[])
) AS names CROSS JOIN LATERAL (
	SELECT FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON true
	WHERE t.file_path = names.path AND t.file_path <> '' AND {{is_kept}}
		AND (t.storage_backend = 'local' OR m.purged_at IS NULL
			AND (m.state = 'leased' AND m.direction = 'to_local' OR m.finished_at > now() - $1::interval))
	LIMIT 1
) AS needed
