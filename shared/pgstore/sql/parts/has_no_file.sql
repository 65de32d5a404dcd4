-- Whether track t is one that was opened here and never got a file.
t.status::text IN ('uploading', 'failed') AND t.storage_backend = 'local' AND coalesce(t.file_path, '') = '' AND t.deleted_at IS NULL
