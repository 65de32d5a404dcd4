-- The uploads of these ids.
SELECT {{upload_columns}}
FROM (SELECT DISTINCT unnest($1::text[]::uuid[]) AS wanted) AS ids
	-- OFFSET 0: each is looked up by the index, also by a plan from when the table was empty.
	CROSS JOIN LATERAL (SELECT * FROM track_uploads WHERE id = wanted OFFSET 0) AS found
