-- Makes a place the current one of its kind, which has none, also one of earlier.
INSERT INTO track_places AS p (kind, id, name, is_marked) VALUES ($1, $2, $3, $4)
ON CONFLICT (id) DO UPDATE SET is_current = true, name = excluded.name, is_marked = excluded.is_marked
WHERE p.kind = excluded.kind
RETURNING id
