-- A ticket for sending one new file of one track. No foreign key to tracks: a platform
-- may delete its rows as it likes, and the ticket is then the record of bytes to remove.
CREATE TABLE IF NOT EXISTS track_uploads (
    id                 uuid         PRIMARY KEY,
    -- The order of opening, which decides between two files of one track.
    seq                bigint       GENERATED ALWAYS AS IDENTITY,
    track_id           uuid         NOT NULL,
    user_id            uuid         NOT NULL,
    state              varchar(16)  NOT NULL DEFAULT 'pending',
    reason             varchar(32),
    method             varchar(16)  NOT NULL,
    backend            varchar(16)  NOT NULL,
    -- The object's key, or the path under the root on disk. Written once.
    storage_key        varchar(512) NOT NULL,
    -- Of the object that was checked: a form can be sent twice, and only this one counts.
    storage_version_id text,
    multipart_id       text,
    part_size          bigint,
    size               bigint,
    max_size           bigint       NOT NULL,
    format             varchar(16)  NOT NULL,
    content_type       varchar(100) NOT NULL,
    checksum_algorithm varchar(16),
    checksum_value     varchar(64),
    idempotency_key    varchar(255),
    request_hash       bytea,
    created_at         timestamptz  NOT NULL DEFAULT now(),
    expires_at         timestamptz  NOT NULL,
    finished_at        timestamptz,
    CONSTRAINT track_uploads_state_check
        CHECK (state IN ('pending', 'stored', 'failed', 'expired', 'aborted')),
    CONSTRAINT track_uploads_finished_check
        CHECK ((state = 'pending') = (finished_at IS NULL)),
    CONSTRAINT track_uploads_reason_check
        CHECK ((state = 'failed') = (reason IS NOT NULL)),
    CONSTRAINT track_uploads_reason_values_check
        CHECK (reason IN ('size_mismatch', 'checksum_mismatch', 'not_audio')),
    CONSTRAINT track_uploads_method_check CHECK (method IN ('put', 'post', 'multipart')),
    CONSTRAINT track_uploads_part_size_check
        CHECK ((method = 'multipart') = (part_size IS NOT NULL)),
    CONSTRAINT track_uploads_backend_check CHECK (backend IN ('local', 's3')),
    CONSTRAINT track_uploads_size_check
        CHECK (max_size > 0 AND size > 0 AND size <= max_size),
    CONSTRAINT track_uploads_checksum_check
        CHECK ((checksum_algorithm IS NULL) = (checksum_value IS NULL)),
    CONSTRAINT track_uploads_idempotency_check
        CHECK ((idempotency_key IS NULL) = (request_hash IS NULL)),
    CONSTRAINT track_uploads_storage_key_key UNIQUE (storage_key)
);

-- An event names a key: the constraint above serves it. The others: the sweep's look for
-- overdue tickets, a user's count of open ones, a track's history, idempotency keys.
CREATE INDEX IF NOT EXISTS track_uploads_overdue_idx ON track_uploads (expires_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS track_uploads_pending_idx ON track_uploads (user_id, expires_at) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS track_uploads_track_idx ON track_uploads (track_id);
CREATE UNIQUE INDEX IF NOT EXISTS track_uploads_idempotency_idx ON track_uploads (user_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
