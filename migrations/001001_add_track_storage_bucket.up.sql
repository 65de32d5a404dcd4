-- The bucket that storage_key is in, by its name. NULL on a row that is on S3 means the bucket
-- that was recorded first: rows that are older than this column are filled in then, some at a
-- time. Discards have it, too, for bytes that lie in a bucket of earlier.
--
-- Both are changes of the catalogue only; see 000985 for the short wait.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE tracks
    ADD COLUMN IF NOT EXISTS storage_bucket varchar(63) NULL,
    DROP CONSTRAINT IF EXISTS tracks_storage_bucket_check,
    ADD CONSTRAINT tracks_storage_bucket_check CHECK (storage_bucket <> '') NOT VALID;
ALTER TABLE track_discards
    ADD COLUMN IF NOT EXISTS storage_bucket varchar(63) NULL,
    DROP CONSTRAINT IF EXISTS track_discards_storage_bucket_check,
    ADD CONSTRAINT track_discards_storage_bucket_check CHECK (storage_bucket IS NULL OR backend = 's3' AND storage_bucket <> '') NOT VALID;
COMMIT;

-- Reads the tables once; readers and writers pass.
ALTER TABLE tracks VALIDATE CONSTRAINT tracks_storage_bucket_check;
ALTER TABLE track_discards VALIDATE CONSTRAINT track_discards_storage_bucket_check;
