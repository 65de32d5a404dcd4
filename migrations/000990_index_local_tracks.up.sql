-- Claims walk the rows that are still local, in the order of id: the index on 's3' rows
-- cannot serve them. An index whose building was cut short stays behind, not valid; a
-- second run of this file finds it by name, so schema.Up drops it first.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_storage_backend_local_idx ON tracks (id) WHERE storage_backend = 'local';
