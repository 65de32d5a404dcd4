-- Leases and outcomes of moving tracks between disk and S3. They live here, so that
-- tracks is written by a flip only, and a busy migration does not bloat it.
CREATE TABLE IF NOT EXISTS track_migrations (
    track_id         uuid         PRIMARY KEY,
    direction        varchar(16)  NOT NULL,
    file_version     bigint       NOT NULL, -- a state belongs to one file version
    state            varchar(16)  NOT NULL,
    lease_token      uuid,
    lease_expires_at timestamptz,
    attempts         integer      NOT NULL DEFAULT 0,
    storage_key      varchar(512),
    size             bigint,
    -- 16 lower-case hex digits, as in the key. What verify and purge-local compare with.
    crc64nvme        char(16),
    error            text,
    started_at       timestamptz,
    finished_at      timestamptz,
    -- The local copy is marked for removal: a rollback must not use it any more.
    purged_at        timestamptz,
    CONSTRAINT track_migrations_direction_check CHECK (direction IN ('to_s3', 'to_local')),
    CONSTRAINT track_migrations_state_check
        CHECK (state IN ('leased', 'migrated', 'missing', 'empty', 'unreadable', 'changed', 'mismatch',
            'outside_root', 'failed')),
    CONSTRAINT track_migrations_lease_check
        CHECK ((state = 'leased') = (lease_token IS NOT NULL)
            AND (lease_token IS NULL) = (lease_expires_at IS NULL)),
    CONSTRAINT track_migrations_migrated_check
        CHECK (state <> 'migrated' OR (crc64nvme IS NOT NULL AND size IS NOT NULL AND finished_at IS NOT NULL)),
    CONSTRAINT track_migrations_attempts_check CHECK (attempts >= 0),
    CONSTRAINT track_migrations_crc64nvme_check CHECK (crc64nvme ~ '^[0-9a-f]{16}$')
);
-- Who holds a lease, and what failed. Not 'migrated': that is nearly every row.
CREATE INDEX IF NOT EXISTS track_migrations_open_idx ON track_migrations (state, track_id) WHERE state <> 'migrated';

-- Which way tracks move: one row. Every claim reads it, so that a rollback stops the
-- workers of a migration, and the other way round.
CREATE TABLE IF NOT EXISTS track_migration_direction (
    only_row   boolean     PRIMARY KEY DEFAULT true,
    direction  varchar(16) NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT track_migration_direction_only_row_check CHECK (only_row),
    CONSTRAINT track_migration_direction_check CHECK (direction IN ('to_s3', 'to_local'))
);
INSERT INTO track_migration_direction (direction) VALUES ('to_s3') ON CONFLICT DO NOTHING;
