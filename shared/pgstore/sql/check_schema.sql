-- Fails where a table of trackstore, or its column of the platform's, is not there. It reads no row.
SELECT t.file_version, t.storage_bucket
FROM {{tracks}} t, track_uploads, track_discards, track_migrations, track_migration_direction, track_migration_ranges, track_places LIMIT 0
