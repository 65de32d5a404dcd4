-- 000985's index, where the table was too large to build it there.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_storage_backend_s3_idx ON tracks (id) WHERE storage_backend = 's3';
