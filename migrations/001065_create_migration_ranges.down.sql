DROP TABLE IF EXISTS track_migration_ranges;
