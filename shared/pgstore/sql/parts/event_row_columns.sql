-- What scanEventRow reads, of track_events.
seq, id, track_id, type, data, created_at, bus_state, coalesce(bus_error, ''), webhook_state, coalesce(webhook_error, '')
