-- Whether the bytes of track t stay: it is not deleted, or not longer than the grace, $1, ago.
(t.deleted_at IS NULL OR t.deleted_at > now() - $1::interval)
