-- Gives whoever asks the bytes of an upload to read, for a while ($3): nobody else reads them
-- meanwhile. What was read of the same version ($2) before counts.
UPDATE track_uploads u
SET read_until = now() + $3::interval, read_version = $2,
	read_offset = CASE WHEN u.read_version = $2 THEN u.read_offset END,
	read_state = CASE WHEN u.read_version = $2 THEN u.read_state END
WHERE u.id = $1 AND u.state IN ('pending', 'expired', 'stored') AND (u.read_until IS NULL OR u.read_until <= now())
RETURNING coalesce(u.read_offset, 0), u.read_state
