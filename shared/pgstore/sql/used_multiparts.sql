-- Which multipart uploads somebody still sends parts to: those of a pending upload, or of the
-- live lease of a track whose file is being moved.
SELECT m.id FROM unnest($2::text[], $3::text[]) AS m (key, id)
WHERE EXISTS (SELECT FROM track_uploads u
		WHERE u.state = 'pending' AND u.backend = $1::text AND u.storage_key = m.key
			AND (u.multipart_id IS NULL OR u.multipart_id = m.id))
	OR m.key LIKE 'tracks/%' AND EXISTS (SELECT FROM track_migrations l
		WHERE l.state = 'leased' AND l.lease_expires_at > now() AND l.track_id::text = split_part(m.key, '/', 2))
