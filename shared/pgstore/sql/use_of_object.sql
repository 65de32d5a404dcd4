-- What an object is for: one of these keys, of track $2.
SELECT
	EXISTS (SELECT FROM {{tracks}} t
		WHERE t.id = $2 AND t.storage_backend = 's3' AND t.storage_key = ANY ($1::text[]) AND t.deleted_at IS NULL),
	EXISTS (SELECT FROM track_uploads WHERE storage_key = ANY ($1::text[]) AND backend = 's3' AND state = 'pending'),
	EXISTS (SELECT FROM track_migrations WHERE track_id = $2 AND state = 'leased' AND lease_expires_at > now()),
	$2::uuid, latest.since, coalesce(latest.reason, '')
FROM (SELECT) AS one LEFT JOIN LATERAL (
	SELECT discarded_at AS since, reason FROM track_discards WHERE backend = 's3' AND storage_key = ANY ($1::text[])
	UNION ALL
	SELECT t.deleted_at, 'deleted' FROM {{tracks}} t
	WHERE t.id = $2 AND t.storage_key = ANY ($1::text[]) AND t.deleted_at IS NOT NULL
	UNION ALL
	SELECT finished_at, 'rolled back' FROM track_migrations
	WHERE track_id = $2 AND direction = 'to_local' AND state = 'migrated' AND storage_key = ANY ($1::text[])
	ORDER BY 1 DESC LIMIT 1) AS latest ON true
