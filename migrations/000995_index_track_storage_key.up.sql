-- Before an object is removed: does a row name it? A platform may have copied rows, so
-- the key alone does not tell which.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_trackstore_storage_key_idx ON tracks USING hash (storage_key)
    WHERE storage_backend = 's3';
