CREATE INDEX CONCURRENTLY IF NOT EXISTS track_events_track_idx ON track_events (track_id, seq);
