-- The rows that claim_to_s3 would claim, now or when their lease is over; of some ids ($1, $2), or of all.
FROM {{tracks}} t
	WHERE t.storage_backend = 'local' AND t.deleted_at IS NULL AND t.file_path <> ''
		AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = t.id
			AND m.direction = 'to_s3' AND m.file_version = t.file_version AND {{is_failure}})
		AND (NOT $1::boolean OR t.id = ANY ($2::text[]::uuid[]))
