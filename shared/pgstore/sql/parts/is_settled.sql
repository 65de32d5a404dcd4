-- Whether the record m becomes its outcome: a failure, or a move that flipped its track.
{{is_held}} AND (held.state <> 'migrated' OR held.track_id IN (SELECT track_id FROM flipped))
