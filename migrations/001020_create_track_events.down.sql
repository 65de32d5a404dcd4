DROP TABLE IF EXISTS track_events;
DROP FUNCTION IF EXISTS track_events_notify();
