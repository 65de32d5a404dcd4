-- A Django application: the table is called after application and model, a FileField is a column of 100 characters, a slug
-- is filled in by the application, and identities of users are UUIDs (a user model of its own).
CREATE TABLE accounts_user (
    id         uuid NOT NULL PRIMARY KEY,
    password   varchar(128) NOT NULL,
    last_login timestamptz,
    username   varchar(150) NOT NULL UNIQUE,
    is_active  boolean NOT NULL
);
CREATE TABLE music_track (
    id         uuid NOT NULL PRIMARY KEY,
    title      varchar(200) NOT NULL,
    slug       varchar(200) NOT NULL,
    audio      varchar(100) NOT NULL,
    plays      integer NOT NULL CONSTRAINT music_track_plays_check CHECK (plays >= 0),
    published  boolean NOT NULL,
    created    timestamptz NOT NULL,
    artist_id  uuid NOT NULL CONSTRAINT music_track_artist_id_fk_accounts_user_id REFERENCES accounts_user (id) DEFERRABLE INITIALLY DEFERRED,
    CONSTRAINT music_track_slug_key UNIQUE (slug)
);
CREATE INDEX music_track_artist_id_idx ON music_track (artist_id);
CREATE INDEX music_track_slug_like ON music_track (slug varchar_pattern_ops);

INSERT INTO accounts_user VALUES ('11111111-1111-4111-8111-111111111111', 'x', NULL, 'ada', true), (gen_random_uuid(), 'x', NULL, 'bob', true);
INSERT INTO music_track
SELECT gen_random_uuid(), 'Take ' || n, username || '-take-' || n, 'tracks/' || username || '/take_' || n || '.mp3', 0, true, now(), accounts_user.id
FROM accounts_user, generate_series(1, 8) AS n;
