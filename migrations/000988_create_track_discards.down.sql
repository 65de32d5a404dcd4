DROP TABLE IF EXISTS track_discards;
