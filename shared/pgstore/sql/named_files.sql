-- Which of these paths tracks name that are not deleted, of a file that is theirs still.
SELECT t.file_path FROM {{tracks}} t LEFT JOIN {{record_of_track}} ON m.file_version = t.file_version
WHERE t.file_path = ANY ($1::text[]) AND t.file_path <> '' AND t.deleted_at IS NULL
	AND (t.storage_backend = 'local' OR m.purged_at IS NULL)
