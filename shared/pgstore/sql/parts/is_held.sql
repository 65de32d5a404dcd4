-- Whether the record m is that of a lease that is held.
m.track_id = held.track_id AND m.track_id = ANY (ARRAY(SELECT track_id FROM held))
