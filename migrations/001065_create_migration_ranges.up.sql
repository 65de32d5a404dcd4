-- Where runs walk: the ids of all tracks, cut into ranges at ids that were drawn at random, and how far
-- the claims of each have come. A run claims from all ranges in turn, so that what is written at one time is
-- spread over the keys of the bucket, and who has just started goes on where others are, and does not
-- walk over all that was moved before. These are hints: a pass walks what lies behind them, too.
CREATE TABLE IF NOT EXISTS track_migration_ranges (
    direction  varchar(16) NOT NULL,
    number     smallint    NOT NULL,
    after_id   uuid        NOT NULL, -- the range begins behind it, and ends with the next range's
    reached_id uuid        NOT NULL,
    PRIMARY KEY (direction, number),
    CONSTRAINT track_migration_ranges_direction_check CHECK (direction IN ('to_s3', 'to_local')),
    CONSTRAINT track_migration_ranges_number_check CHECK (number >= 1),
    CONSTRAINT track_migration_ranges_reached_check CHECK (reached_id >= after_id)
);
