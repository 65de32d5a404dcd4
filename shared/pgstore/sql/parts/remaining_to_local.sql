-- The same of claim_to_local. $3 asks for uploaded tracks, too.
FROM {{tracks}} t
	WHERE t.storage_backend = 's3' AND CASE WHEN t.deleted_at IS NULL THEN $3::boolean OR starts_with(t.storage_key, 'tracks/') ELSE $3::boolean AND NOT {{is_noted}} END
		AND NOT EXISTS (SELECT FROM track_migrations m WHERE m.track_id = t.id
			AND m.direction = 'to_local' AND m.file_version = t.file_version AND {{is_failure}})
		AND (NOT $1::boolean OR t.id = ANY ($2::text[]::uuid[]))
