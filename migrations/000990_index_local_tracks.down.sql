DROP INDEX CONCURRENTLY IF EXISTS tracks_storage_backend_local_idx;
