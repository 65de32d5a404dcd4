-- A baseline for an empty database. A platform that has its own tracks table keeps it
-- as it is: the migrations from 000985 on add what trackstore needs.
DO $$
BEGIN
    IF to_regclass('tracks') IS NULL THEN
        CREATE TABLE tracks (
            id           uuid         PRIMARY KEY,
            creator_id   uuid         NOT NULL,
            title        varchar(255) NOT NULL,
            file_path    varchar(512),
            file_size    bigint,
            format       varchar(16),
            content_type varchar(100),
            status       varchar(16)  NOT NULL DEFAULT 'ready',
            created_at   timestamptz  NOT NULL DEFAULT now(),
            updated_at   timestamptz  NOT NULL DEFAULT now(),
            deleted_at   timestamptz,
            CONSTRAINT tracks_status_check CHECK (status IN ('uploading', 'ready', 'failed')),
            CONSTRAINT tracks_file_size_check CHECK (file_size >= 0)
        );
        -- The down migration drops only a table that bears this mark.
        COMMENT ON TABLE tracks IS 'created by trackstore';
    END IF;
END
$$;
