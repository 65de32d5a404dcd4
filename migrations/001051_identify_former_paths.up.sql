-- Where a publication takes in all tables of the database, a table without a primary key refuses
-- deletions, and with them the platform's own of a track.
BEGIN;
SET LOCAL lock_timeout = '2s';
ALTER TABLE track_former_paths REPLICA IDENTITY FULL;
COMMIT;
