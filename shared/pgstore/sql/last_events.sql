-- The last events, at most $1, the oldest first.
SELECT {{event_row_columns}} FROM (SELECT * FROM track_events ORDER BY seq DESC LIMIT $1) AS newest ORDER BY seq
