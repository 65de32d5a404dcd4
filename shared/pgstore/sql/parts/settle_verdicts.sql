-- A verdict for each outcome. One that is not held any more may have been settled by this
-- very call, tried again after its answer was lost.
SELECT CASE
	WHEN i.track_id IN (SELECT track_id FROM settled) THEN 'settled'
	WHEN i.track_id IN (SELECT track_id FROM locked) THEN 'locked'
	WHEN i.track_id IN (SELECT track_id FROM marked WHERE is_gone) THEN 'vacant'
	WHEN i.track_id IN (SELECT track_id FROM marked) THEN 'marked'
	WHEN i.track_id IN (SELECT track_id FROM moved) THEN 'unchanged'
	WHEN i.track_id IN (SELECT track_id FROM held) THEN 'superseded'
	WHEN EXISTS (SELECT FROM track_migrations m
		WHERE m.track_id = i.track_id AND m.state = i.state AND m.file_version = i.file_version AND (i.state <> 'migrated'
			OR m.storage_key = coalesce(i.new_key, i.storage_key) AND m.crc64nvme = i.new_checksum)) THEN 'settled before'
	ELSE 'lost' END
FROM input i ORDER BY i.number
