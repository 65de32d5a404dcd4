-- For the rest of the transaction, plans walk an index in its order: the planner takes what a few conditions leave for so few
-- that to sort them costs nothing, and there may be millions. Nor is anything compiled, which it takes for worth while where it has
-- to sort all the same.
SELECT set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)
