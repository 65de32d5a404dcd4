-- Where a track's bytes lie. Readers of the two columns:
--   storage_backend = 'local'  the file at file_path, under the platform's own root
--   storage_backend = 's3'     the object storage_key
--
-- A column with a constant default is a change of the catalogue only, and a NOT VALID
-- CHECK is not tested against the rows that are there. The wait for the lock is bounded:
-- behind a long transaction this fails, rather than stop everyone who comes after it.
BEGIN;
SET LOCAL lock_timeout = '10s';
ALTER TABLE tracks
    ADD COLUMN IF NOT EXISTS storage_backend varchar(16) NOT NULL DEFAULT 'local',
    ADD COLUMN IF NOT EXISTS storage_key varchar(512) NULL,
    DROP CONSTRAINT IF EXISTS tracks_storage_backend_check,
    ADD CONSTRAINT tracks_storage_backend_check CHECK (storage_backend IN ('local', 's3')) NOT VALID;
COMMIT;

-- Both read the table once; the first lets readers and writers pass, the second only readers.
ALTER TABLE tracks VALIDATE CONSTRAINT tracks_storage_backend_check;
CREATE INDEX IF NOT EXISTS tracks_storage_backend_s3_idx ON tracks (id) WHERE storage_backend = 's3';
