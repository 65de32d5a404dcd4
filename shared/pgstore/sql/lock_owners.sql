-- Takes the locks of the owners of tracks, as lock_user does, in one order: for the rest of the transaction none of them
-- opens an upload, and the next statement sees all that were opened before.
SELECT pg_advisory_xact_lock(owners.key)
FROM (SELECT {{writer}}) AS settings, (
	SELECT DISTINCT hashtextextended('track_uploads ' || t.creator_id::text, 0) AS key
	FROM {{tracks}} t WHERE t.id = ANY ($1::text[]::uuid[]) ORDER BY 1
) AS owners
