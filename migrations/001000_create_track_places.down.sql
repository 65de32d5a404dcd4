DROP TABLE IF EXISTS track_places;
