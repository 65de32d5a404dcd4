-- The sweep's look for deleted tracks.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_trackstore_deleted_at_idx ON tracks (deleted_at) WHERE deleted_at IS NOT NULL;
