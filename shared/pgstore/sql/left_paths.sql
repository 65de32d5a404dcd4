-- The paths of files that tracks gave up within grace: of deleted ones, and those that are discarded.
SELECT t.file_path FROM {{tracks}} t WHERE t.file_path <> '' AND greatest(t.deleted_at, {{adopted_at}}) > now() - $1::interval
UNION ALL
SELECT storage_key FROM track_discards
WHERE backend = 'local' AND gone_at IS NULL AND discarded_at > now() - $1::interval
