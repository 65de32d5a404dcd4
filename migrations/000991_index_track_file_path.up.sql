-- Before a local file is removed: does another row name it? A hash, because a platform's
-- paths may be longer than a btree takes. Without the rows that name no file, nearly all
-- once tracks are on S3: they would share one bucket of the hash, and each new one would
-- walk along all the others to find room. The indexes from here on bear trackstore's name,
-- because a platform may have indexes on these columns, by their usual names.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_trackstore_file_path_idx ON tracks USING hash (file_path)
    WHERE file_path <> '';
