-- Returns some of the paths that local tracks name: those of the lowest ids and of the highest.
(SELECT t.file_path FROM {{tracks}} t
	WHERE t.storage_backend = 'local' AND t.file_path <> '' AND t.deleted_at IS NULL ORDER BY t.id LIMIT 1000)
UNION
(SELECT t.file_path FROM {{tracks}} t
	WHERE t.storage_backend = 'local' AND t.file_path <> '' AND t.deleted_at IS NULL ORDER BY t.id DESC LIMIT 1000)
