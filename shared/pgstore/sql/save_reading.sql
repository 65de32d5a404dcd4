-- Keeps how far an upload's bytes were read, and has them for a while longer ($5; none: they are
-- free). It may be less than what was kept, where another checksum is wanted, too.
UPDATE track_uploads u
SET read_offset = $3, read_state = $4, read_until = now() + $5::interval
WHERE u.id = $1 AND u.read_version = $2
