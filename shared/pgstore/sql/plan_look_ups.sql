-- For the rest of the transaction, plans look rows up, or walk an index in its order. The plans of the statements that follow are
-- made once for a connection, maybe while the tables are empty: to read such a table whole, or to sort it, costs nothing.
-- Nor is anything compiled, which the planner takes for worth while where it has to read a table whole all the same.
SELECT set_config('plan_cache_mode', 'force_generic_plan', true), set_config('enable_seqscan', 'off', true),
	set_config('enable_bitmapscan', 'off', true), set_config('jit', 'off', true)
