-- What was found in the bytes of an upload that failed, for people; reason is for programs.
-- The check is not tried on the rows that are there while the table is locked: afterwards.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_uploads
    ADD COLUMN IF NOT EXISTS detail text,
    DROP CONSTRAINT IF EXISTS track_uploads_detail_check,
    ADD CONSTRAINT track_uploads_detail_check CHECK (detail IS NULL OR state = 'failed') NOT VALID;
COMMIT;
ALTER TABLE track_uploads VALIDATE CONSTRAINT track_uploads_detail_check;
