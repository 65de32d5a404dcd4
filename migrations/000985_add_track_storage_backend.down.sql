-- SAFE ONLY WHILE ALL ROWS ARE 'local': the two columns are the only record of which
-- object holds a track's bytes. Run this guard first; it must answer 0. Otherwise move
-- the tracks back with `trackstore migrate-storage rollback --all`.
--
--     SELECT count(*) FROM tracks WHERE storage_backend <> 'local';
--
-- What the platform had before trackstore came stays.
BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
DECLARE
    ours text[];
BEGIN
    IF to_regclass('trackstore_adoption') IS NULL THEN
        RETURN; -- it is down already
    END IF;
    SELECT made INTO ours FROM trackstore_adoption;
    IF to_regclass('tracks') IS NOT NULL THEN
        IF 'tracks_storage_backend_s3_idx' = ANY (ours) THEN
            DROP INDEX IF EXISTS tracks_storage_backend_s3_idx;
        END IF;
        IF 'tracks_storage_backend_check' = ANY (ours) THEN
            ALTER TABLE tracks DROP CONSTRAINT IF EXISTS tracks_storage_backend_check;
        END IF;
        IF 'storage_key' = ANY (ours) THEN
            ALTER TABLE tracks DROP COLUMN IF EXISTS storage_key;
        END IF;
        IF 'storage_backend' = ANY (ours) THEN
            ALTER TABLE tracks DROP COLUMN IF EXISTS storage_backend;
        END IF;
    END IF;
    DROP TABLE trackstore_adoption;
END
$$;
COMMIT;
