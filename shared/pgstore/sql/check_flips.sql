-- An error where a row is not what a flip of this transaction made of it: a trigger has made
-- something else of it afterwards.
SELECT count(('trackstore: a trigger makes something else of the row' || left(t.id::text, 0))::uuid)
FROM jsonb_to_recordset($1::jsonb) AS i (track_id uuid, file_version bigint, new_key text, new_path text)
CROSS JOIN LATERAL (
	SELECT * FROM {{tracks}} t WHERE t.id = i.track_id OFFSET 0
) AS t
WHERE t.file_version <> i.file_version OR CASE WHEN i.new_key IS NULL
	THEN (t.storage_backend::text, t.file_path::text) IS DISTINCT FROM ('local', i.new_path)
	ELSE (t.storage_backend::text, t.storage_key::text) IS DISTINCT FROM ('s3', i.new_key) END
