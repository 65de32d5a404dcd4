-- Notes that the bytes of marked notes are gone. What was noted anew meanwhile is left alone.
WITH notes AS MATERIALIZED (
	SELECT d.id FROM track_discards d
	JOIN jsonb_to_recordset($1::jsonb) AS i (id bigint, discarded_at timestamptz) ON i.id = d.id
	WHERE d.removed_at IS NOT NULL AND d.discarded_at = i.discarded_at
	ORDER BY d.backend, d.storage_key FOR UPDATE OF d
)
UPDATE track_discards d SET gone_at = now() FROM notes WHERE d.id = notes.id
