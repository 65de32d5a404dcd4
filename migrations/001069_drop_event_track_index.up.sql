-- 001067 and 001068 serve what it did.
DROP INDEX CONCURRENTLY IF EXISTS track_events_track_idx;
