-- The sweep's look at uploads whose bytes may still come, and at tracks that nothing comes for.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_uploads_given_up_idx ON track_uploads (finished_at, id)
    WHERE state IN ('expired', 'aborted');
