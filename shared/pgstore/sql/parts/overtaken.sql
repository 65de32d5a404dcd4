-- The moves of tracks that were replaced, deleted or moved meanwhile. Their leases go.
undone AS MATERIALIZED (
	SELECT * FROM held
	WHERE is_copied AND track_id NOT IN (SELECT track_id FROM moved) AND track_id NOT IN (SELECT track_id FROM locked)
), {{undo}}
