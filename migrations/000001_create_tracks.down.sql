-- Drops the table only where 000001 created it and no track is in it: a platform's own
-- table, and any row, outlive trackstore's schema.
DO $$
DECLARE
    tracks_are_there boolean;
BEGIN
    IF to_regclass('tracks') IS NULL
        OR obj_description(to_regclass('tracks'), 'pg_class') IS DISTINCT FROM 'created by trackstore' THEN
        RETURN;
    END IF;
    SELECT EXISTS (SELECT FROM tracks) INTO tracks_are_there;
    IF NOT tracks_are_there THEN
        DROP TABLE tracks;
    END IF;
END
$$;
