-- Notes that a marked local copy is gone.
UPDATE track_discards SET gone_at = now()
WHERE backend = 'local' AND storage_key = ANY ($1::text[]) AND removed_at IS NOT NULL AND gone_at IS NULL
