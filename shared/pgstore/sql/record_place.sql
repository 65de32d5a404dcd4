-- Records the place of a kind where none is, and returns whichever is recorded. Of two programs
-- that begin at the same time, the index lets one be first; the other one waits for it.
WITH recorded AS (
	INSERT INTO track_places (kind, id, name, is_marked) VALUES ($1, $2, $3, $4)
	ON CONFLICT (kind) WHERE is_current DO NOTHING
	RETURNING kind, id, name, is_marked
)
SELECT kind, id, name, is_marked FROM recorded
UNION ALL
SELECT kind, id, name, is_marked FROM track_places WHERE kind = $1 AND is_current
LIMIT 1
