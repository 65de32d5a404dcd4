-- Whether row m of a rollback still holds what the flip to S3 recorded.
m.direction = 'to_local' AND m.crc64nvme IS NOT NULL AND m.size IS NOT NULL AND m.finished_at IS NOT NULL
