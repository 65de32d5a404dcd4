-- Returns the place of a kind that trackstore works with.
SELECT kind, id, name, is_marked FROM track_places WHERE kind = $1 AND is_current
