-- Returns tracks on S3 after an id that name no bucket, some at a time.
SELECT t.id::text FROM {{tracks}} t
WHERE t.storage_backend = 's3' AND t.storage_bucket IS NULL AND t.id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000')
ORDER BY t.id LIMIT 1000
