-- An error where one of the tracks $1 is not what a flip of this transaction has made of it, to the key or path that
-- $2 has in its place: a trigger has made something else of it afterwards.
SELECT count(('trackstore: a trigger makes something else of the row' || left(t.id::text, 0))::uuid)
FROM unnest($1::text[]::uuid[], $2::text[]) AS i (track_id, name) CROSS JOIN LATERAL (
	SELECT * FROM track_migrations WHERE track_id = i.track_id AND state = 'migrated' AND finished_at = now() OFFSET 0
) AS m CROSS JOIN LATERAL (
	SELECT * FROM {{tracks}} t WHERE t.id = i.track_id OFFSET 0
) AS t
WHERE t.file_version <> m.file_version OR CASE m.direction WHEN 'to_s3'
	THEN (t.storage_backend::text, t.storage_key::text) IS DISTINCT FROM ('s3', i.name)
	ELSE (t.storage_backend::text, t.file_path::text) IS DISTINCT FROM ('local', i.name) END
