-- Notes how far a claim of won tracks came, in range (direction, number) = place. Who finds the range locked leaves that
-- to whoever holds it: nobody waits, and the walk needs no exact place.
come AS (
	UPDATE track_migration_ranges r SET reached_id = (SELECT id FROM candidates ORDER BY id DESC LIMIT 1)
	WHERE (r.direction, r.number) = (
		SELECT o.direction, o.number FROM track_migration_ranges o
		WHERE (o.direction, o.number) = (SELECT direction, number FROM place) AND EXISTS (SELECT FROM won)
			AND o.after_id < (SELECT id FROM candidates ORDER BY id DESC LIMIT 1)
		FOR UPDATE SKIP LOCKED)
)
