-- An error where the root folder that is meant, if it bears an id, is another than one of $1. The lock keeps it so until the
-- transaction is over.
SELECT count(('another root folder is meant by now' || left(id::text, 0))::uuid)
FROM (SELECT id FROM track_places WHERE kind = 'root' AND is_current AND is_marked FOR SHARE) AS meant
WHERE NOT id = ALL ($1::text[]::uuid[])
