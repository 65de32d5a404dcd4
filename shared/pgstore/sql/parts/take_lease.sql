-- What a claim makes of a row of track_migrations that is there: a lease, and nothing else. R10:
-- what is known of stored bytes stays, with the file version that it is of.
ON CONFLICT (track_id) DO UPDATE
	SET direction = excluded.direction, file_version = excluded.file_version, state = excluded.state,
		stored_version = CASE WHEN m.crc64nvme IS NOT NULL THEN coalesce(m.stored_version, m.file_version) END,
		lease_token = excluded.lease_token, lease_expires_at = excluded.lease_expires_at,
		started_at = excluded.started_at, attempts = 0, error = NULL
	WHERE {{is_still_candidate}}
