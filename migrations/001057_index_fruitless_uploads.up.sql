-- The sweep's look at uploads whose bytes may still come, and at tracks that nothing has come for.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_uploads_fruitless_idx ON track_uploads (finished_at, id)
    WHERE state IN ('failed', 'expired', 'aborted');
