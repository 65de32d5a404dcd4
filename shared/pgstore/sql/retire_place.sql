-- Makes a kind have no current place; its earlier ones stay known.
UPDATE track_places SET is_current = false WHERE kind = $1 AND is_current
