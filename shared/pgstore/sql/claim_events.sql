-- Takes the next events for one receiver out, oldest due first, at most $1 of them, and holds
-- them for the time $2: where whoever took them dies, they are taken out again after that.
-- receiver_ stands for the prefix of the receiver's columns.
--
-- In order for each track: an event waits while an earlier one of its track does, be it because
-- that is under way or because it failed. So at most one event of a track is out at a time. A row
-- that somebody else is claiming at this moment is passed over, and never waited for.
WITH due AS MATERIALIZED (
	SELECT e.seq FROM track_events e
	WHERE e.receiver_state = 'waiting' AND e.receiver_next_at <= now()
		AND NOT EXISTS (
			SELECT FROM track_events earlier
			WHERE earlier.track_id = e.track_id AND earlier.seq < e.seq AND earlier.receiver_state = 'waiting'
		)
	ORDER BY e.receiver_next_at LIMIT $1
	FOR UPDATE SKIP LOCKED
)
UPDATE track_events e
SET receiver_attempts = e.receiver_attempts + 1,
	receiver_since = coalesce(e.receiver_since, now()),
	receiver_next_at = now() + $2::interval
WHERE e.seq = ANY (ARRAY(SELECT seq FROM due))
RETURNING e.seq, e.id, e.track_id, e.type, e.data, e.created_at, e.receiver_attempts, now() - e.receiver_since
