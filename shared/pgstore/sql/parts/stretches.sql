-- The stretches of ids that a pass walks, of the ranges (number, after_id, reached_id): first what lies ahead
-- in each, then what lies behind. Together they are all ids. Where there are no ranges, one stretch is.
bounded AS (
	SELECT number, after_id, reached_id, coalesce(lead(after_id) OVER (ORDER BY after_id), 'ffffffff-ffff-ffff-ffff-ffffffffffff') AS up_to
	FROM ranges
), stretches AS (
	SELECT false AS is_behind, number, least(reached_id, up_to) AS after_id, up_to FROM bounded
	UNION ALL
	SELECT true, number, after_id, least(reached_id, up_to) FROM bounded
	UNION ALL
	SELECT false, 0, '00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff' WHERE NOT EXISTS (SELECT FROM ranges)
	ORDER BY 1, 2
)
