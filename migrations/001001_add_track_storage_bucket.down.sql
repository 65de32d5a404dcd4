-- Which bucket holds a track's bytes is forgotten: safe only while there is one.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE IF EXISTS track_discards
    DROP CONSTRAINT IF EXISTS track_discards_storage_bucket_check,
    DROP COLUMN IF EXISTS storage_bucket;
ALTER TABLE IF EXISTS tracks
    DROP CONSTRAINT IF EXISTS tracks_storage_bucket_check,
    DROP COLUMN IF EXISTS storage_bucket;
COMMIT;
