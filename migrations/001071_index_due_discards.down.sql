DROP INDEX CONCURRENTLY IF EXISTS track_discards_waiting_idx;
