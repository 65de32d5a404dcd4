-- The record m of a lease that is held and came to its end.
m.track_id = held.track_id AND m.track_id = ANY (ARRAY(SELECT track_id FROM held))
	AND (held.state <> 'migrated' OR held.track_id IN (SELECT track_id FROM flipped))
