DROP INDEX CONCURRENTLY IF EXISTS track_events_bus_track_idx;
