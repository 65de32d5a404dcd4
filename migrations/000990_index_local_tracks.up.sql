-- Claims walk the rows that are still local, in the order of id: the index on 's3' rows
-- cannot serve them. An index whose building was cut short stays behind, not valid, and
-- IF NOT EXISTS takes it for done: drop such a one first, as `trackstore schema up` does.
CREATE INDEX CONCURRENTLY IF NOT EXISTS tracks_storage_backend_local_idx ON tracks (id) WHERE storage_backend = 'local';
