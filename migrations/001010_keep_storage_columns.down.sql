-- Back to the trigger of 000996.
BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
BEGIN
    IF to_regclass('tracks') IS NOT NULL THEN
        DROP TRIGGER IF EXISTS trackstore_note_deleted ON tracks;
        DROP TRIGGER IF EXISTS trackstore_keep_storage ON tracks;
    END IF;
END
$$;
DROP FUNCTION IF EXISTS trackstore_note_deleted();
DROP FUNCTION IF EXISTS trackstore_keep_storage();
DROP TABLE IF EXISTS track_former_paths;
DO $$
BEGIN
    IF to_regclass('tracks') IS NULL OR to_regproc('tracks_raise_file_version') IS NULL THEN
        RETURN; -- 000986 is down already
    END IF;
    DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;
    CREATE TRIGGER tracks_raise_file_version
        BEFORE UPDATE OF file_path ON tracks
        FOR EACH ROW
        WHEN (NEW.file_path IS DISTINCT FROM OLD.file_path
            AND NEW.file_version = OLD.file_version
            AND (NEW.storage_backend = OLD.storage_backend
                OR NEW.storage_backend = 'local'
                    AND NOT starts_with(coalesce(NEW.file_path, ''), 'restored/' || NEW.id || '/')))
        EXECUTE FUNCTION tracks_raise_file_version();
END
$$;
COMMIT;
