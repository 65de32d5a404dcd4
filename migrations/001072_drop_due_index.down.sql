CREATE INDEX CONCURRENTLY IF NOT EXISTS track_discards_due_idx ON track_discards (discarded_at) WHERE gone_at IS NULL;
