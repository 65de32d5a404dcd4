-- A program that does not know file_version may also replace a track that is on S3: it puts
-- a file on disk and sets file_path and storage_backend. That is a new file, too. A rollback
-- changes the same columns for the same file, and is known by the path: it is the only one
-- that writes under restored/, in the track's own folder.
BEGIN;
SET LOCAL lock_timeout = '2s';
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
COMMIT;
