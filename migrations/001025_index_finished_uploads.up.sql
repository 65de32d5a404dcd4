-- The sweep's look for tickets that were over long ago, which it removes.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_uploads_finished_idx ON track_uploads (finished_at) WHERE finished_at IS NOT NULL;
