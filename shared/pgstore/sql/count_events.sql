-- Counts the events that are not at their end, for each receiver; those that are dead; and the age
-- of the oldest that waits. The partial indexes hold the first; the dead are few, or somebody was told.
SELECT count(*) FILTER (WHERE bus_state = 'waiting'), count(*) FILTER (WHERE bus_state = 'dead'),
	coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE bus_state = 'waiting')), 0)::float8,
	count(*) FILTER (WHERE webhook_state = 'waiting'), count(*) FILTER (WHERE webhook_state = 'dead'),
	coalesce(extract(epoch FROM now() - min(created_at) FILTER (WHERE webhook_state = 'waiting')), 0)::float8
FROM track_events
WHERE bus_state IN ('waiting', 'dead') OR webhook_state IN ('waiting', 'dead')
