-- Whether the record m goes: that of a move that did not flip its track.
{{is_held}} AND held.state = 'migrated' AND held.track_id NOT IN (SELECT track_id FROM flipped)
