-- The versions of an object that rows pin, '' for one that is not known: of tracks, also deleted
-- ones, and of uploads that are stored or whose bytes may still be looked at.
SELECT coalesce(t.storage_version_id::text, '')
FROM {{tracks}} t WHERE t.storage_key = $1 AND t.storage_backend = 's3'
UNION
SELECT CASE state WHEN 'stored' THEN coalesce(storage_version_id, '') ELSE '' END
FROM track_uploads WHERE storage_key = $1 AND backend = 's3' AND state IN ('pending', 'expired', 'stored')
