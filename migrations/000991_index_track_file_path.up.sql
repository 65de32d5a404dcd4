-- Before a local file is removed: does another row name it?
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_file_path_idx ON tracks (file_path);
