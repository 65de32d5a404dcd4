-- The sweep's look for notes that are due: in the order in which it goes through them, also of those that have one time,
-- as all that one statement of the platform's has deleted. Without the id it sorted all of these for each batch.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_discards_waiting_idx ON track_discards (backend, discarded_at, id) WHERE gone_at IS NULL;
