-- The path of every local track that has one, and was not deleted longer than grace ago.
SELECT t.file_path FROM {{tracks}} t WHERE t.storage_backend = 'local' AND t.file_path <> '' AND {{is_kept}}
