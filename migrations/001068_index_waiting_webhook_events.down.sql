DROP INDEX CONCURRENTLY IF EXISTS track_events_webhook_track_idx;
