DROP TABLE IF EXISTS track_uploads;
