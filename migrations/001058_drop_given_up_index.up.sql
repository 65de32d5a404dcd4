-- 001057 serves what it did.
DROP INDEX CONCURRENTLY IF EXISTS track_uploads_given_up_idx;
