-- The tracks whose bucket is still to be filled in, see 001001. It is empty once they are.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_trackstore_unnamed_bucket_idx ON tracks (id)
    WHERE storage_backend = 's3' AND storage_bucket IS NULL;
