-- Undoes the leases and failures that undone (track_id, has_record, waits) has locked. R10: what
-- is known of stored bytes becomes the record again that it was, of the move before. One that
-- waits for a locked row stays as a lease that has run out, so that the wait is not forgotten.
kept AS (
	UPDATE track_migrations m
	SET state = 'migrated', direction = CASE m.direction WHEN 'to_local' THEN 'to_s3' ELSE 'to_local' END,
		file_version = coalesce(m.stored_version, m.file_version), stored_version = NULL,
		lease_token = NULL, lease_expires_at = NULL, error = NULL
	WHERE m.track_id = ANY (ARRAY(SELECT track_id FROM undone WHERE has_record))
), waiting_on AS (
	UPDATE track_migrations m SET lease_expires_at = least(m.lease_expires_at, now())
	WHERE m.track_id = ANY (ARRAY(SELECT track_id FROM undone WHERE NOT has_record AND waits))
), gone AS (
	DELETE FROM track_migrations m WHERE m.track_id = ANY (ARRAY(SELECT track_id FROM undone WHERE NOT has_record AND NOT waits))
)
