DROP INDEX CONCURRENTLY IF EXISTS track_discards_gone_idx;
