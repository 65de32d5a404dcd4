-- Frees the events that are dead for a receiver, and has those that wait tried now. Their three
-- days begin anew.
UPDATE track_events e
SET receiver_state = 'waiting', receiver_attempts = 0, receiver_since = NULL, receiver_next_at = now(), receiver_error = NULL
WHERE e.receiver_state = 'dead' OR e.receiver_state = 'waiting' AND e.receiver_error IS NOT NULL
