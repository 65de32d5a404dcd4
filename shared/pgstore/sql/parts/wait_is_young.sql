-- Whether the wait for a locked row, that track_migrations m tells of, is one that goes on.
coalesce(m.locked_at > now() - interval '5 minutes', false)
