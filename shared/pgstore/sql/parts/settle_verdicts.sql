-- A verdict for each outcome. One that is not held any more may have been settled by this
-- very call, tried again after its answer was lost.
SELECT CASE
	WHEN i.track_id IN (SELECT track_id FROM settled) THEN 'settled'
	WHEN i.track_id IN (SELECT track_id FROM held) THEN 'superseded'
	WHEN EXISTS (SELECT FROM track_migrations m
		WHERE m.track_id = i.track_id AND m.state = i.state AND m.file_version = i.file_version
			AND coalesce(m.storage_key, '') = coalesce(i.new_key, nullif(i.storage_key, ''), m.storage_key, '')
			AND m.crc64nvme IS NOT DISTINCT FROM coalesce(i.new_checksum, m.crc64nvme::text)) THEN 'settled'
	ELSE 'lost' END
FROM input i ORDER BY i.number
