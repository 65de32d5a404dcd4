-- Drops the notes of bytes that were removed and are gone, so that their names are free again. A
-- sweep that was stopped before the removal removes nothing whose note is not there.
DELETE FROM track_discards WHERE backend = $1 AND storage_key = ANY ($2::text[]) AND gone_at IS NOT NULL
