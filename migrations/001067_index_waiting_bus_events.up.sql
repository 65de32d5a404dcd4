-- Whether an earlier event of a track still waits, asked of each event that is due: one step, however many of the track
-- were delivered. With 001068 this takes the place of an index of all events.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_events_bus_track_idx ON track_events (track_id, seq) WHERE bus_state = 'waiting';
