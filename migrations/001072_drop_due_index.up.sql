-- 001071 serves what it did.
DROP INDEX CONCURRENTLY IF EXISTS track_discards_due_idx;
