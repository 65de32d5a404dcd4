-- What a file is for, by any of its paths; $2 is the track whose id a path holds, if any.
SELECT
	EXISTS (SELECT FROM {{tracks}} t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.file_version = t.file_version
		WHERE t.file_path = ANY ($1::text[]) AND t.file_path <> '' AND t.deleted_at IS NULL
			AND (t.storage_backend = 'local' OR m.purged_at IS NULL)),
	EXISTS (SELECT FROM track_uploads WHERE storage_key = ANY ($1::text[]) AND backend = 'local' AND state = 'pending'),
	EXISTS (SELECT FROM track_migrations WHERE track_id = $2 AND state = 'leased' AND lease_expires_at > now()),
	$2::uuid, latest.since, coalesce(latest.reason, '')
FROM (SELECT) AS one LEFT JOIN LATERAL (
	SELECT discarded_at AS since, reason FROM track_discards WHERE backend = 'local' AND storage_key = ANY ($1::text[])
	UNION ALL
	SELECT t.deleted_at, 'deleted' FROM {{tracks}} t
	WHERE t.file_path = ANY ($1::text[]) AND t.file_path <> '' AND t.deleted_at IS NOT NULL
	ORDER BY 1 DESC LIMIT 1) AS latest ON true
