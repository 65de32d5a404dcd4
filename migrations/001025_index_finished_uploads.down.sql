DROP INDEX CONCURRENTLY IF EXISTS track_uploads_finished_idx;
