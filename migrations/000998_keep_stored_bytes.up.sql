-- What track_migrations knows of stored bytes stays until a flip knows of newer ones: a claim, or
-- a move that finds nothing, leaves it alone. So a version and a bucket belong to the key, and
-- the file version that they are of. And a move that waits for a row which another transaction
-- holds says since when, so that another worker goes on with that wait.
--
-- All are changes of the catalogue only.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_migrations
    ADD COLUMN IF NOT EXISTS storage_version_id text,
    ADD COLUMN IF NOT EXISTS storage_bucket     varchar(63),
    ADD COLUMN IF NOT EXISTS stored_version     bigint,      -- that storage_key is of; NULL: file_version
    ADD COLUMN IF NOT EXISTS locked_since       timestamptz,
    ADD COLUMN IF NOT EXISTS locked_at          timestamptz, -- last seen
    DROP CONSTRAINT IF EXISTS track_migrations_stored_version_check,
    ADD CONSTRAINT track_migrations_stored_version_check CHECK (stored_version >= 1) NOT VALID,
    DROP CONSTRAINT IF EXISTS track_migrations_locked_check,
    ADD CONSTRAINT track_migrations_locked_check CHECK ((locked_since IS NULL) = (locked_at IS NULL)) NOT VALID;
COMMIT;

-- Reads the table once; readers and writers pass.
ALTER TABLE track_migrations VALIDATE CONSTRAINT track_migrations_stored_version_check;
ALTER TABLE track_migrations VALIDATE CONSTRAINT track_migrations_locked_check;
