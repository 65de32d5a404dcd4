-- When trackstore came to this platform, and what of the platform's own table it made: a way
-- down drops that, and nothing that was there before. A platform may have had the two columns
-- below as its own.
CREATE TABLE IF NOT EXISTS trackstore_adoption (
    only_row   boolean     PRIMARY KEY DEFAULT true,
    adopted_at timestamptz NOT NULL DEFAULT now(),
    made       text[]      NOT NULL DEFAULT '{}', -- columns, constraints and indexes by their names
    CONSTRAINT trackstore_adoption_only_row_check CHECK (only_row)
);
INSERT INTO trackstore_adoption DEFAULT VALUES ON CONFLICT DO NOTHING;

-- Where a track's bytes lie. Readers of the two columns:
--   storage_backend = 'local'  the file at file_path, under the platform's own root
--   storage_backend = 's3'     the object storage_key
--
-- A column with a constant default is a change of the catalogue only, and a NOT VALID
-- CHECK is not tested against the rows that are there. The wait for the lock is short:
-- behind a long transaction this fails and is tried again, rather than stop everyone who
-- comes after it.
BEGIN;
SET LOCAL lock_timeout = '2s';
UPDATE trackstore_adoption SET made = made || ARRAY(
    SELECT name FROM unnest(ARRAY['storage_backend', 'storage_key']) AS name
    WHERE NOT EXISTS (SELECT FROM pg_attribute WHERE attrelid = 'tracks'::regclass AND attname = name AND NOT attisdropped)
    UNION ALL SELECT 'tracks_storage_backend_check'
    WHERE NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'tracks'::regclass AND conname = 'tracks_storage_backend_check')
    UNION ALL SELECT 'tracks_storage_backend_s3_idx'
    WHERE NOT EXISTS (SELECT FROM pg_index JOIN pg_class ON oid = indexrelid
        WHERE indrelid = 'tracks'::regclass AND relname = 'tracks_storage_backend_s3_idx'));
ALTER TABLE tracks
    ADD COLUMN IF NOT EXISTS storage_backend varchar(16) NOT NULL DEFAULT 'local',
    ADD COLUMN IF NOT EXISTS storage_key varchar(512) NULL;
DO $$
BEGIN
    IF 'tracks_storage_backend_check' = ANY ((SELECT made FROM trackstore_adoption)::text[]) THEN
        ALTER TABLE tracks
            DROP CONSTRAINT IF EXISTS tracks_storage_backend_check,
            ADD CONSTRAINT tracks_storage_backend_check CHECK (storage_backend IN ('local', 's3')) NOT VALID;
    END IF;
END
$$;
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
