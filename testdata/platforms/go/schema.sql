-- A Go backend: uuid keys, GORM's soft deletes, a status of its own.
CREATE TABLE users (
    id         uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    email      varchar(255) NOT NULL UNIQUE,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tracks (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    creator_id  uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    title       varchar(255) NOT NULL,
    genre       varchar(64),
    file_path   varchar(500) NOT NULL,
    file_size   bigint NOT NULL DEFAULT 0,
    format      varchar(10),
    duration_ms bigint,
    status      varchar(20) NOT NULL DEFAULT 'processing'
        CONSTRAINT chk_tracks_status CHECK (status IN ('uploading', 'processing', 'completed', 'failed')),
    play_count  bigint NOT NULL DEFAULT 0,
    created_at  timestamptz,
    updated_at  timestamptz,
    deleted_at  timestamptz
);
CREATE INDEX idx_tracks_deleted_at ON tracks (deleted_at);
CREATE INDEX idx_tracks_creator_id ON tracks (creator_id);
CREATE FUNCTION touch_updated_at() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$$;
CREATE TRIGGER touch BEFORE UPDATE ON tracks FOR EACH ROW EXECUTE FUNCTION touch_updated_at();

INSERT INTO users (id, email) VALUES ('11111111-1111-4111-8111-111111111111', 'ada@example.com'), (gen_random_uuid(), 'bob@example.com');
INSERT INTO tracks (creator_id, title, file_path, format, status, created_at)
SELECT users.id, 'Take ' || n, 'albums/' || email || '/' || n || '.flac', 'flac', 'completed', CASE WHEN n > 1 THEN now() END
FROM users, generate_series(1, 8) AS n;
