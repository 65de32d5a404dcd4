DROP TABLE IF EXISTS companion_sessions;
