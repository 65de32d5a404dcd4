-- The local copies that a purge marked and did not note as gone.
SELECT track_id, storage_key FROM track_discards
WHERE backend = 'local' AND reason = 'purged' AND gone_at IS NULL
