-- The places where bytes lie: root folders on disk, and buckets. Each bears its id, the root as
-- the file .trackstore/root-id, the bucket as the object .trackstore/bucket-id. One that bears
-- another is another place: a volume that is not mounted, the bucket of another environment.
-- Earlier ones stay, for tracks may still lie there.
CREATE TABLE IF NOT EXISTS track_places (
    id          uuid         PRIMARY KEY,
    kind        varchar(16)  NOT NULL,
    -- The bucket's name, or the root's absolute path, as it was when it was last recorded. A
    -- copy that bears the same id is the same place.
    name        text         NOT NULL,
    -- The one that trackstore works with.
    is_current  boolean      NOT NULL DEFAULT true,
    -- The place bears the id. A root that could not be written to does not, and is known by the
    -- files in it.
    is_marked   boolean      NOT NULL DEFAULT false,
    recorded_at timestamptz  NOT NULL DEFAULT now(),
    CONSTRAINT track_places_kind_check CHECK (kind IN ('root', 'bucket')),
    CONSTRAINT track_places_name_check CHECK (name <> '')
);
CREATE UNIQUE INDEX IF NOT EXISTS track_places_current_key ON track_places (kind) WHERE is_current;
