-- Locks the tracks of uploads that wait for their first file.
--
-- Two that give up the last two uploads of a track see each other's still open, until one has
-- committed: so they queue for the track here, and look in fail_new_tracks, whose snapshot is
-- taken after the wait. The uploads were locked before, as by settle_uploads.
SELECT FROM {{tracks}} t
WHERE t.id IN (SELECT track_id FROM track_uploads WHERE id = ANY ($1::text[]::uuid[])) AND t.status::text = 'uploading'
ORDER BY t.id FOR NO KEY UPDATE
