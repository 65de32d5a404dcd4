-- SAFE ONLY WHILE ALL ROWS ARE 'local': the two columns are the only record of which
-- object holds a track's bytes. Run this guard first; it must answer 0. Otherwise move
-- the tracks back with `trackstore migrate-storage rollback --all`.
--
--     SELECT count(*) FROM tracks WHERE storage_backend <> 'local';
BEGIN;
SET LOCAL lock_timeout = '2s';
DROP INDEX IF EXISTS tracks_storage_backend_s3_idx;
ALTER TABLE IF EXISTS tracks
    DROP CONSTRAINT IF EXISTS tracks_storage_backend_check,
    DROP COLUMN IF EXISTS storage_key,
    DROP COLUMN IF EXISTS storage_backend;
COMMIT;
