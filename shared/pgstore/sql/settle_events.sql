-- Records what became of events that were taken out for one receiver: delivered, dead, or waiting
-- for the next try. receiver_ stands for the prefix of the receiver's columns.
--
-- An event that somebody else took out meanwhile, because this one was slow, has another number
-- of attempts, and is left to the other, unless this one has delivered it: then nobody needs to.
--
-- $2 says that the other receiver, with the prefix other_, is not there: then nothing waits for it.
WITH input AS MATERIALIZED (
	SELECT * FROM jsonb_to_recordset($1::jsonb) AS i (seq bigint, attempts int, state text, wait_seconds float8, error text)
), held AS MATERIALIZED (
	SELECT e.seq, i.attempts, i.state, i.wait_seconds, i.error
	FROM (SELECT * FROM input ORDER BY seq) AS i CROSS JOIN LATERAL (
		SELECT seq FROM track_events WHERE seq = i.seq AND receiver_state = 'waiting'
			AND (receiver_attempts = i.attempts OR i.state = 'delivered') FOR UPDATE
	) AS e
)
UPDATE track_events e
SET receiver_state = held.state,
	receiver_next_at = now() + make_interval(secs => held.wait_seconds),
	receiver_error = held.error,
	other_state = CASE WHEN $2 AND e.other_state = 'waiting' THEN 'none' ELSE e.other_state END
FROM held WHERE e.seq = held.seq AND e.seq = ANY (ARRAY(SELECT seq FROM held))
