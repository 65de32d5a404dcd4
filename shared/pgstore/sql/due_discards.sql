-- The notes of a backend whose grace is over and whose bytes are not known to be gone, the oldest first.
SELECT id, track_id, backend, storage_key, reason, discarded_at, coalesce(storage_bucket, '') FROM track_discards
WHERE gone_at IS NULL AND backend = $1 AND discarded_at <= now() - $2::interval AND (discarded_at, id) > ($3, $4)
ORDER BY discarded_at, id LIMIT $5
