DROP INDEX CONCURRENTLY IF EXISTS tracks_trackstore_deleted_idx;
