-- Enters notes, those that are not there yet. A note of bytes that were gone before is of others,
-- that had the same path.
INSERT INTO track_discards AS d (track_id, backend, storage_key, reason, discarded_at, storage_bucket)
SELECT DISTINCT ON (backend, key) track_id, backend, key, reason, discarded_at, nullif(bucket, '')
FROM jsonb_to_recordset($1::jsonb) AS i (track_id uuid, backend text, key text, reason text, discarded_at timestamptz, bucket text)
ORDER BY backend, key
ON CONFLICT (backend, storage_key) DO UPDATE
SET track_id = excluded.track_id, reason = excluded.reason, discarded_at = excluded.discarded_at, storage_bucket = excluded.storage_bucket,
	removed_at = NULL, gone_at = NULL
WHERE d.gone_at < excluded.discarded_at
