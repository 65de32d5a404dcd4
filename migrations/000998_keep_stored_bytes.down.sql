ALTER TABLE track_migrations
    DROP COLUMN IF EXISTS storage_version_id,
    DROP COLUMN IF EXISTS storage_bucket,
    DROP COLUMN IF EXISTS stored_version,
    DROP COLUMN IF EXISTS locked_since,
    DROP COLUMN IF EXISTS locked_at;
