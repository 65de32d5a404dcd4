BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
BEGIN
    IF to_regclass('tracks') IS NOT NULL THEN
        DROP TRIGGER IF EXISTS trackstore_tell_removed ON tracks;
        DROP TRIGGER IF EXISTS trackstore_tell_deleted ON tracks;
    END IF;
END
$$;
DROP FUNCTION IF EXISTS trackstore_tell_deleted();
COMMIT;
