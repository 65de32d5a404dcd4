-- Takes a user's lock for the rest of the transaction. The limit on open uploads and the
-- idempotency key hold because whoever opens an upload has it, in a statement before the one
-- that looks: that one's snapshot is then taken when all others are done. For these next
-- statements it takes from the planner what open_upload says.
SELECT pg_advisory_xact_lock(hashtextextended('track_uploads ' || $1::text, 0)),
	set_config('enable_sort', 'off', true)
