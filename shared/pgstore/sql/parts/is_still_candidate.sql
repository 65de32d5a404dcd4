-- Whether what made track_migrations m a candidate's row still holds: a lease has a token of
-- its own, and an outcome its time. A lease that was dead may have been extended since.
EXISTS (SELECT FROM candidates c WHERE c.id = m.track_id
			AND (c.state, c.lease_token, c.finished_at) IS NOT DISTINCT FROM (m.state, m.lease_token, m.finished_at))
		AND NOT (m.state = 'leased' AND m.lease_expires_at > now())
