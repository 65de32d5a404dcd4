-- How far the sweep has come in looking through the versions of a bucket, which is too much for
-- one sweep: the next one goes on after this key.
CREATE TABLE IF NOT EXISTS track_sweep_positions (
    prefix     text        PRIMARY KEY,
    after_key  text        NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
