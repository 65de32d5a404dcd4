-- 001055 serves what it did.
DROP INDEX CONCURRENTLY IF EXISTS tracks_trackstore_deleted_at_idx;
