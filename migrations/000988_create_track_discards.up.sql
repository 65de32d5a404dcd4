-- Bytes that no row names any more, or never will: replaced, rejected, given up or
-- deleted. They stay for the grace period, then the sweep removes them. The statement
-- that takes a name off a row writes it here, so that no crash forgets bytes; the sweep
-- marks (removed_at) before it unlinks, and looks once more whether any row names them.
CREATE TABLE IF NOT EXISTS track_discards (
    id           bigint       GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    track_id     uuid         NOT NULL,
    backend      varchar(16)  NOT NULL,
    storage_key  text         NOT NULL, -- the object's key, or tracks.file_path as it was
    reason       varchar(16)  NOT NULL,
    discarded_at timestamptz  NOT NULL DEFAULT now(),
    removed_at   timestamptz,           -- marked for removal; the bytes may still be there
    gone_at      timestamptz,           -- the bytes are removed
    CONSTRAINT track_discards_backend_check CHECK (backend IN ('local', 's3')),
    CONSTRAINT track_discards_reason_check
        CHECK (reason IN ('replaced', 'rejected', 'expired', 'aborted', 'deleted', 'orphaned', 'purged')),
    CONSTRAINT track_discards_removed_check CHECK (gone_at IS NULL OR removed_at IS NOT NULL),
    CONSTRAINT track_discards_key UNIQUE (backend, storage_key)
);
CREATE INDEX IF NOT EXISTS track_discards_due_idx ON track_discards (discarded_at) WHERE gone_at IS NULL;
CREATE INDEX IF NOT EXISTS track_discards_track_idx ON track_discards (track_id);
