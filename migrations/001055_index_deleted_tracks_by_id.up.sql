-- The sweep's look for deleted tracks, a part at a time: also where a platform deletes very many at one moment.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_trackstore_deleted_idx ON tracks (deleted_at, id) WHERE deleted_at IS NOT NULL;
