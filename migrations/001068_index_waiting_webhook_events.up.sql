-- As 001067, for the webhook.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_events_webhook_track_idx ON track_events (track_id, seq) WHERE webhook_state = 'waiting';
