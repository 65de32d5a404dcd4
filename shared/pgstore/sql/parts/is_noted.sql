-- Whether the sweep has noted all bytes of a deleted track t for removal.
EXISTS (SELECT FROM track_discards d WHERE d.backend = 's3' AND d.storage_key = 'uploads/' || t.id || '/')
