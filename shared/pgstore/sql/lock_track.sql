-- Tells why a track could not be locked: an error where somebody holds it, no row where a policy of
-- the platform's hides it from changes, and the row itself where it was held a moment ago.
SELECT t.id FROM {{tracks}} t WHERE t.id = $1 AND t.deleted_at IS NULL FOR NO KEY UPDATE NOWAIT
