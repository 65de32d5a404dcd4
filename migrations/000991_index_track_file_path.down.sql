DROP INDEX CONCURRENTLY IF EXISTS tracks_trackstore_file_path_idx;
