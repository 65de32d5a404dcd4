-- Whether nothing can come for track t any more: no upload of it is open or younger than the grace ($1), none was stored,
-- and the bytes of all are known to be gone. Those of an expired upload are looked for once more before they go.
NOT EXISTS (SELECT FROM track_uploads u
		WHERE u.track_id = t.id AND (u.state IN ('pending', 'stored') OR u.finished_at > now() - $1::interval))
	AND NOT EXISTS (SELECT FROM track_discards d WHERE d.track_id = t.id AND d.gone_at IS NULL)
