-- Whether the sweep has noted all bytes of a deleted track t for removal. OFFSET 0 keeps the planner from reading all notes
-- at once, to look the tracks up in them.
EXISTS (SELECT FROM track_discards d WHERE d.backend = 's3' AND d.storage_key = 'uploads/' || t.id || '/' OFFSET 0)
