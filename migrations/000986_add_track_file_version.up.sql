-- What a flip compares (file_version), what it pins (storage_version_id), and which
-- ticket's file the row holds (upload_seq): of two files that were sent for one track,
-- the later ticket's wins, whatever the order in which their events arrive.
--
-- The other columns are those of the baseline, for a platform whose table lacks them.
BEGIN;
SET LOCAL lock_timeout = '2s';
UPDATE trackstore_adoption SET made = made || ARRAY(
    SELECT name FROM unnest(ARRAY['file_version', 'storage_version_id', 'upload_seq', 'file_size', 'format', 'content_type',
        'status', 'created_at', 'updated_at', 'deleted_at']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tracks'::regclass AND attname = name AND NOT attisdropped));
ALTER TABLE tracks
    ADD COLUMN IF NOT EXISTS file_version bigint NOT NULL DEFAULT 1,
    ADD COLUMN IF NOT EXISTS storage_version_id text NULL,
    ADD COLUMN IF NOT EXISTS upload_seq bigint NOT NULL DEFAULT 0,
    ADD COLUMN IF NOT EXISTS file_size bigint NULL,
    ADD COLUMN IF NOT EXISTS format varchar(16) NULL,
    ADD COLUMN IF NOT EXISTS content_type varchar(100) NULL,
    ADD COLUMN IF NOT EXISTS status varchar(16) NOT NULL DEFAULT 'ready',
    ADD COLUMN IF NOT EXISTS created_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS updated_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN IF NOT EXISTS deleted_at timestamptz NULL,
    DROP CONSTRAINT IF EXISTS tracks_file_version_check,
    ADD CONSTRAINT tracks_file_version_check CHECK (file_version >= 1) NOT VALID,
    DROP CONSTRAINT IF EXISTS tracks_storage_key_check,
    ADD CONSTRAINT tracks_storage_key_check
        CHECK (storage_backend <> 's3' OR (storage_key IS NOT NULL AND storage_key <> '')) NOT VALID;

-- A program that does not know file_version says so by leaving it alone while it changes
-- file_path: that is a new file, and a copy of the old one under way must not win over it.
-- A rollback changes file_path too, and the backend with it: the same file, elsewhere.
CREATE OR REPLACE FUNCTION tracks_raise_file_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.file_version := OLD.file_version + 1;
    RETURN NEW;
END
$$;
DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;
CREATE TRIGGER tracks_raise_file_version
    BEFORE UPDATE OF file_path ON tracks
    FOR EACH ROW
    WHEN (NEW.file_path IS DISTINCT FROM OLD.file_path
        AND NEW.file_version = OLD.file_version
        AND NEW.storage_backend = OLD.storage_backend)
    EXECUTE FUNCTION tracks_raise_file_version();
COMMIT;

ALTER TABLE tracks VALIDATE CONSTRAINT tracks_file_version_check;
ALTER TABLE tracks VALIDATE CONSTRAINT tracks_storage_key_check;
