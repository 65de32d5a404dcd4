BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE IF EXISTS track_uploads
    DROP CONSTRAINT IF EXISTS track_uploads_detail_check,
    DROP COLUMN IF EXISTS detail;
COMMIT;
