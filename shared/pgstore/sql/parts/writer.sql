-- Says, for the rest of the transaction, who writes, and how long it waits for others: for rows of
-- trackstore's own, and what the platform's triggers wait for. Rows of the platform's table that
-- somebody has locked are skipped, never waited for.
set_config('trackstore.writer', 'on', true), set_config('lock_timeout', '2s', true)
