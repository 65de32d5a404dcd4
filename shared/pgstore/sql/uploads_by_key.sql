-- The uploads that bear these keys.
SELECT {{upload_columns}}
FROM (SELECT DISTINCT unnest($1::text[]) AS wanted) AS keys
	-- OFFSET 0: each is looked up by the index, also by a plan from when the table was empty.
	CROSS JOIN LATERAL (SELECT * FROM track_uploads WHERE storage_key = wanted OFFSET 0) AS found
