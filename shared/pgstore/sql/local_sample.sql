-- Returns some of the paths that local tracks name: of each stretch that a run walks, or else of the lowest ids and of the
-- highest.
WITH ranges AS (SELECT * FROM track_migration_ranges WHERE direction = 'to_s3'), {{stretches}}
(SELECT found.file_path FROM stretches s CROSS JOIN LATERAL (
	SELECT t.file_path FROM {{tracks}} t
	WHERE t.storage_backend = 'local' AND t.file_path <> '' AND t.deleted_at IS NULL AND t.id > s.after_id AND t.id <= s.up_to
	ORDER BY t.id LIMIT (SELECT 1000 / greatest(count(*), 1) FROM ranges)) AS found LIMIT 1000)
UNION
(SELECT t.file_path FROM {{tracks}} t
	WHERE t.storage_backend = 'local' AND t.file_path <> '' AND t.deleted_at IS NULL AND NOT EXISTS (SELECT FROM ranges)
	ORDER BY t.id DESC LIMIT 1000)
