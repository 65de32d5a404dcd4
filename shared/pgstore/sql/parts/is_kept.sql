-- Whether the bytes of track t stay: it is not deleted, or not longer than the grace, $1, ago.
(t.deleted_at IS NULL OR greatest(t.deleted_at, {{adopted_at}}) > now() - $1::interval)
