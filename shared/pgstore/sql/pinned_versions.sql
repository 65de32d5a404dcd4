-- The versions of an object that rows pin: of tracks, also deleted ones, and of uploads that are stored
-- or whose bytes may still be looked at. '' is one that is not known, or one that has been pinned for less than the
-- grace ($2): a database that is restored to a time within it may pin another.
SELECT CASE WHEN EXISTS (SELECT FROM track_migrations m
		WHERE m.track_id = t.id AND m.storage_key = $1 AND m.finished_at > now() - $2::interval) THEN ''
	ELSE coalesce(t.storage_version_id::text, '') END
FROM {{tracks}} t WHERE t.storage_key = $1 AND t.storage_backend = 's3'
UNION
SELECT CASE WHEN state = 'stored' AND finished_at <= now() - $2::interval THEN coalesce(storage_version_id, '') ELSE '' END
FROM track_uploads WHERE storage_key = $1 AND backend = 's3' AND state IN ('pending', 'expired', 'stored')
