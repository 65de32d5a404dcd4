-- Whether a track needs a file that it names by one of these paths: it is local; or a rollback
-- of it is under way; or it was moved to S3 within grace, and a database that is restored may
-- name the file again. A track that was deleted within grace needs what it did before.
SELECT EXISTS (
	SELECT FROM {{tracks}} t LEFT JOIN track_migrations m ON m.track_id = t.id
	WHERE t.file_path = ANY ($2::text[]) AND t.file_path <> '' AND {{is_kept}}
		AND (t.storage_backend = 'local' OR m.purged_at IS NULL
			AND (m.state = 'leased' AND m.direction = 'to_local' OR m.finished_at > now() - $1::interval)))
