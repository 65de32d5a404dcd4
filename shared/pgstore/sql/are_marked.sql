-- Which files are marked for removal by all of their paths, and not known to be gone.
SELECT i.number FROM jsonb_to_recordset($1::jsonb) AS i (number int, paths text[])
WHERE (SELECT bool_and(EXISTS (SELECT FROM track_discards d
	WHERE d.backend = 'local' AND d.storage_key = path AND d.removed_at IS NOT NULL AND d.gone_at IS NULL)) FROM unnest(i.paths) AS path)
