-- The events after number $1, at most $2, the oldest first.
SELECT {{event_row_columns}} FROM track_events WHERE seq > $1 ORDER BY seq LIMIT $2
