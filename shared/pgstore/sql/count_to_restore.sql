-- Counts the files, and their bytes, that a rollback of up to $4 tracks writes for certain: of
-- those whose local copy may still be used, nothing is written.
WITH ranges AS (SELECT * FROM track_migration_ranges WHERE direction = 'to_local'), {{stretches}}
SELECT count(*), coalesce(sum(size), 0)::bigint FROM (
	SELECT coalesce(m.size, t.file_size, 0) AS size, m.purged_at IS NULL AND m.crc64nvme IS NOT NULL AND t.file_path <> '' AS is_there
	FROM (
		SELECT found.* FROM stretches s CROSS JOIN LATERAL (
			SELECT t.id, t.file_size, t.file_path, t.storage_key {{remaining_to_local}} AND t.id > s.after_id AND t.id <= s.up_to ORDER BY t.id OFFSET 0
		) AS found LIMIT $4::bigint
	) AS t LEFT JOIN track_migrations m ON m.track_id = t.id AND m.storage_key = t.storage_key
) AS sizes WHERE NOT coalesce(is_there, false)
