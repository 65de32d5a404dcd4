-- The id of the root folder that is meant, where it bears one. The lock keeps it so until the caller's
-- transaction is over.
SELECT id FROM track_places WHERE kind = 'root' AND is_current AND is_marked FOR SHARE
