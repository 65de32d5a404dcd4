-- Notes what the current place of a kind turned out to be: what it bears, what it is called. It
-- is the one of before, by its id, unless another program has noted something meanwhile.
UPDATE track_places SET id = $3, name = $4, is_marked = $5 WHERE kind = $1 AND id = $2 AND is_current
