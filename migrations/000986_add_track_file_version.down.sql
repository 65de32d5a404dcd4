-- The columns of the baseline stay: the platform may use them by now.
BEGIN;
SET LOCAL lock_timeout = '2s';
DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;
DROP FUNCTION IF EXISTS tracks_raise_file_version();
ALTER TABLE IF EXISTS tracks
    DROP CONSTRAINT IF EXISTS tracks_storage_key_check,
    DROP CONSTRAINT IF EXISTS tracks_file_version_check,
    DROP COLUMN IF EXISTS upload_seq,
    DROP COLUMN IF EXISTS storage_version_id,
    DROP COLUMN IF EXISTS file_version;
COMMIT;
