-- An upload whose ticket is over is still confirmed when its bytes come. What is kept for that,
-- and for uploads that cannot be settled at once:
--   attempts    how often the platform's table did not take the upload's file
--   looked_at   when the last sweep looked at its bytes, so that two at once do not both
--   read_…      how far its bytes were read for a checksum that the storage does not know:
--               of which version, up to where, the state of the hash, and until when its
--               reader holds it
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_uploads
    ADD COLUMN IF NOT EXISTS attempts     smallint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS looked_at    timestamptz,
    ADD COLUMN IF NOT EXISTS read_version text,
    ADD COLUMN IF NOT EXISTS read_offset  bigint,
    ADD COLUMN IF NOT EXISTS read_state   bytea,
    ADD COLUMN IF NOT EXISTS read_until   timestamptz,
    DROP CONSTRAINT IF EXISTS track_uploads_attempts_check,
    ADD CONSTRAINT track_uploads_attempts_check CHECK (attempts >= 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS track_uploads_read_check,
    ADD CONSTRAINT track_uploads_read_check
        CHECK ((read_state IS NULL) = (read_offset IS NULL) AND read_offset >= 0) NOT VALID,
    DROP CONSTRAINT IF EXISTS track_uploads_reason_values_check,
    ADD CONSTRAINT track_uploads_reason_values_check
        CHECK (reason IN ('size_mismatch', 'checksum_mismatch', 'not_audio', 'platform_refused')) NOT VALID;
COMMIT;

ALTER TABLE track_uploads VALIDATE CONSTRAINT track_uploads_attempts_check;
ALTER TABLE track_uploads VALIDATE CONSTRAINT track_uploads_read_check;
ALTER TABLE track_uploads VALIDATE CONSTRAINT track_uploads_reason_values_check;
