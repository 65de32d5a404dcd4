-- The columns that the platform had before trackstore came stay.
BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
DECLARE
    ours text[];
    name text;
BEGIN
    IF to_regclass('tracks') IS NULL OR to_regclass('trackstore_adoption') IS NULL THEN
        RETURN; -- it is down already
    END IF;
    SELECT made INTO ours FROM trackstore_adoption;
    DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;
    ALTER TABLE tracks
        DROP CONSTRAINT IF EXISTS tracks_storage_key_check,
        DROP CONSTRAINT IF EXISTS tracks_file_version_check;
    FOREACH name IN ARRAY ARRAY['upload_seq', 'storage_version_id', 'file_version', 'file_size', 'format', 'content_type',
        'status', 'created_at', 'updated_at', 'deleted_at'] LOOP
        IF name = ANY (ours) THEN
            EXECUTE format('ALTER TABLE %s DROP COLUMN IF EXISTS %I', 'tracks'::regclass, name);
        END IF;
    END LOOP;
END
$$;
DROP FUNCTION IF EXISTS tracks_raise_file_version();
COMMIT;
