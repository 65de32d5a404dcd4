-- The checksum that a client named when it had sent the file (complete), beside the one that
-- it may have declared when it opened the upload: the bytes must have both.
-- The check is not tried on the rows that are there while the table is locked: afterwards.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_uploads
    ADD COLUMN IF NOT EXISTS sent_checksum_algorithm varchar(16),
    ADD COLUMN IF NOT EXISTS sent_checksum_value varchar(64),
    DROP CONSTRAINT IF EXISTS track_uploads_sent_checksum_check,
    ADD CONSTRAINT track_uploads_sent_checksum_check
        CHECK ((sent_checksum_algorithm IS NULL) = (sent_checksum_value IS NULL)) NOT VALID;
COMMIT;
ALTER TABLE track_uploads VALIDATE CONSTRAINT track_uploads_sent_checksum_check;
