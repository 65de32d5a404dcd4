-- Where a track's bytes lie. Readers of the two columns:
--   storage_backend = 'local'  the file at file_path, under the platform's own root
--   storage_backend = 's3'     the object storage_key
DO $$
BEGIN
    IF (SELECT count(*) FROM pg_attribute
        WHERE attrelid = 'tracks'::regclass AND NOT attisdropped
            AND (attname IN ('title', 'file_path') OR attname IN ('id', 'creator_id') AND atttypid = 'uuid'::regtype)
        ) <> 4 THEN
        RAISE EXCEPTION 'the table tracks needs the columns id uuid, creator_id uuid, title and file_path';
    END IF;
END
$$;

-- A column with a constant default is a change of the catalogue only, and a NOT VALID
-- CHECK is not tested against the rows that are there. The wait for the lock is short:
-- behind a long transaction this fails and is tried again, rather than stop everyone who
-- comes after it.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE tracks
    ADD COLUMN IF NOT EXISTS storage_backend varchar(16) NOT NULL DEFAULT 'local',
    ADD COLUMN IF NOT EXISTS storage_key varchar(512) NULL,
    DROP CONSTRAINT IF EXISTS tracks_storage_backend_check,
    ADD CONSTRAINT tracks_storage_backend_check CHECK (storage_backend IN ('local', 's3')) NOT VALID;
COMMIT;

-- Reads the table once; readers and writers pass.
ALTER TABLE tracks VALIDATE CONSTRAINT tracks_storage_backend_check;

-- Building an index holds writers back for one scan. That is nothing on a small table;
-- on a large one 000993 builds it CONCURRENTLY, which cannot stand beside other statements.
BEGIN;
SET LOCAL lock_timeout = '2s';
DO $$
BEGIN
    IF pg_relation_size('tracks') < 512 * 1024 * 1024 THEN
        CREATE INDEX IF NOT EXISTS tracks_storage_backend_s3_idx ON tracks (id) WHERE storage_backend = 's3';
    END IF;
END
$$;
COMMIT;
