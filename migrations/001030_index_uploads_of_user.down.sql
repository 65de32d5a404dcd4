DROP INDEX CONCURRENTLY IF EXISTS track_uploads_user_idx;
