BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE IF EXISTS track_uploads
    DROP CONSTRAINT IF EXISTS track_uploads_sent_checksum_check,
    DROP COLUMN IF EXISTS sent_checksum_algorithm,
    DROP COLUMN IF EXISTS sent_checksum_value;
COMMIT;
