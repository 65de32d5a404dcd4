BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
BEGIN
    IF to_regclass('tracks') IS NOT NULL THEN
        DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;
        CREATE TRIGGER tracks_raise_file_version
            BEFORE UPDATE OF file_path ON tracks
            FOR EACH ROW
            WHEN (NEW.file_path IS DISTINCT FROM OLD.file_path
                AND NEW.file_version = OLD.file_version
                AND NEW.storage_backend = OLD.storage_backend)
            EXECUTE FUNCTION tracks_raise_file_version();
    END IF;
END
$$;
COMMIT;
