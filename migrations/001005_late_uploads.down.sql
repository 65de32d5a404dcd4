-- Uploads that the platform's table refused keep their reason: the constraint is not validated.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_uploads
    DROP CONSTRAINT IF EXISTS track_uploads_reason_values_check,
    ADD CONSTRAINT track_uploads_reason_values_check
        CHECK (reason IN ('size_mismatch', 'checksum_mismatch', 'not_audio')) NOT VALID,
    DROP CONSTRAINT IF EXISTS track_uploads_read_check,
    DROP CONSTRAINT IF EXISTS track_uploads_attempts_check,
    DROP COLUMN IF EXISTS read_until,
    DROP COLUMN IF EXISTS read_state,
    DROP COLUMN IF EXISTS read_offset,
    DROP COLUMN IF EXISTS read_version,
    DROP COLUMN IF EXISTS looked_at,
    DROP COLUMN IF EXISTS attempts;
COMMIT;
