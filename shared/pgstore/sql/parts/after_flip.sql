-- What follows from the tracks that flipped: with $2 each is told of, and the notes of bytes that are
-- named again go, those that nobody acts upon yet.
told AS (
	INSERT INTO track_events (track_id, type, data) SELECT track_id, 'moved', data FROM flipped WHERE $2::boolean ORDER BY track_id
), wanted AS (
	DELETE FROM track_discards d WHERE d.id = ANY (ARRAY(
		SELECT id FROM notes WHERE removed_at IS NULL AND track_id IN (SELECT track_id FROM flipped)))
)
