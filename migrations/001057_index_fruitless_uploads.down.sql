DROP INDEX CONCURRENTLY IF EXISTS track_uploads_fruitless_idx;
