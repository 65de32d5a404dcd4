-- Where a part of a table begins, in the order of a time and an id: after $2, which is empty for the first.
(coalesce(nullif(split_part($2, '/', 1), ''), '-infinity')::timestamptz,
	coalesce(nullif(split_part($2, '/', 2), ''), '00000000-0000-0000-0000-000000000000')::uuid)
