-- Whether track_migrations m knows of stored bytes: what a flip recorded, or verify.
m.storage_key IS NOT NULL AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL AND m.finished_at IS NOT NULL
