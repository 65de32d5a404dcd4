-- Undoes the rows that held (track_id, records_flip) has locked: back to the record of the
-- flip, or away. Answers with their number.
kept AS (
	UPDATE track_migrations m
	SET state = 'migrated', direction = 'to_s3', lease_token = NULL, lease_expires_at = NULL, error = NULL
	FROM held WHERE m.track_id = held.track_id AND held.records_flip
), gone AS (
	DELETE FROM track_migrations m USING held WHERE m.track_id = held.track_id AND NOT held.records_flip
)
SELECT count(*) FROM held
