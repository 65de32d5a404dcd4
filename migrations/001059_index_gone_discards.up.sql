-- The sweep's look for notes that nobody needs any more: those of bytes that are gone. The note of a deleted track's
-- folder of uploads stays, for it tells that the track was looked at.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_discards_gone_idx ON track_discards (gone_at)
    WHERE gone_at IS NOT NULL AND NOT (reason = 'deleted' AND backend = 's3' AND storage_key LIKE 'uploads/%/');
