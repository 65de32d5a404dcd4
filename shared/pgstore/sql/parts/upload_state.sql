-- The state of an upload, of track_uploads. One whose ticket is over is expired, also until a sweep
-- notes it.
CASE WHEN state = 'pending' AND expires_at <= now() THEN 'expired' ELSE state END
