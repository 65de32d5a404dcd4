DROP TABLE IF EXISTS track_migration_direction;
DROP TABLE IF EXISTS track_migrations;
