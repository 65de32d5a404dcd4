-- The storage columns are trackstore's (R9). A program that writes a whole row back as it once
-- read it, as an ORM's save does, changes titles and counts of plays, and never where the bytes
-- are: the trigger below keeps these columns as they were.

-- A database that an earlier trackstore brought up has no record of what it made. What the
-- platform may use by now stays.
CREATE TABLE IF NOT EXISTS trackstore_adoption (
    only_row   boolean     PRIMARY KEY DEFAULT true,
    adopted_at timestamptz NOT NULL DEFAULT now(),
    made       text[]      NOT NULL DEFAULT '{}',
    CONSTRAINT trackstore_adoption_only_row_check CHECK (only_row)
);
INSERT INTO trackstore_adoption (made) VALUES (ARRAY['storage_backend', 'storage_key', 'tracks_storage_backend_check',
    'tracks_storage_backend_s3_idx', 'file_version', 'storage_version_id', 'upload_seq']) ON CONFLICT DO NOTHING;

-- The paths that tracks once had and have no more, '' for none. A program that sets one of them
-- again only says what it read long ago.
CREATE TABLE IF NOT EXISTS track_former_paths (
    track_id  uuid        NOT NULL,
    file_path text        NOT NULL,
    left_at   timestamptz NOT NULL DEFAULT now()
);
-- A hash, because a platform's paths may be longer than an index takes.
CREATE UNIQUE INDEX IF NOT EXISTS track_former_paths_key ON track_former_paths (track_id, md5(file_path));

BEGIN;
SET LOCAL lock_timeout = '2s';
-- Its function stays, for 000986 and 000996 make the trigger anew where they are run again.
DROP TRIGGER IF EXISTS tracks_raise_file_version ON tracks;

-- Whoever updates a row of the platform runs this function, and need not have rights on
-- trackstore's tables for it: it runs with the rights of who made it, and finds its own tables
-- first, whatever the caller's search path is.
--
-- The trigger has neither a list of columns nor a condition, for Postgres changes no type of a
-- column that a trigger names. A session that ran the function before such a change may go on
-- with the old type (datatype_mismatch): from then on it takes the way by jsonb, which knows of
-- no types.
CREATE OR REPLACE FUNCTION trackstore_keep_storage() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    was       jsonb;
    says      jsonb;
    keeps     jsonb;
    old_path  text;
    new_path  text;
    is_new    boolean;
BEGIN
    BEGIN
        IF NEW.file_path IS NOT DISTINCT FROM OLD.file_path
            AND NEW.storage_backend IS NOT DISTINCT FROM OLD.storage_backend
            AND NEW.storage_key IS NOT DISTINCT FROM OLD.storage_key
            AND NEW.storage_version_id IS NOT DISTINCT FROM OLD.storage_version_id
            AND NEW.storage_bucket IS NOT DISTINCT FROM OLD.storage_bucket
            AND NEW.file_version IS NOT DISTINCT FROM OLD.file_version
            AND NEW.upload_seq IS NOT DISTINCT FROM OLD.upload_seq THEN
            RETURN NEW; -- as nearly every update
        END IF;
    EXCEPTION WHEN datatype_mismatch THEN
        NULL;
    END;
    was := to_jsonb(OLD);
    says := to_jsonb(NEW);
    old_path := coalesce(was ->> 'file_path', '');
    new_path := coalesce(says ->> 'file_path', '');

    -- A statement of trackstore's own says so, for its transaction.
    IF current_setting('trackstore.writer', true) = 'on' THEN
        is_new := true;
    ELSE
        -- A new file is told by a path that the track has not had before. A row on S3 that
        -- loses its path has no new file.
        is_new := new_path <> old_path
            AND (new_path <> '' OR was ->> 'storage_backend' = 'local')
            AND NOT EXISTS (SELECT FROM track_former_paths
                WHERE track_id = OLD.id AND md5(file_path) = md5(new_path) AND file_path = new_path);
        SELECT jsonb_object_agg(key, value) INTO keeps FROM jsonb_each(was)
        WHERE key IN ('storage_backend', 'storage_key', 'storage_version_id', 'storage_bucket', 'file_version', 'upload_seq');
        IF is_new THEN
            -- R5: backend, key, path and version change together. A copy of the old file that
            -- is under way must not win over the new one, hence the version.
            keeps := keeps || jsonb_build_object('storage_backend', 'local', 'storage_key', NULL, 'storage_version_id', NULL,
                'storage_bucket', NULL, 'file_version', (was ->> 'file_version')::bigint + 1);
            -- The object loses its name here: from now on the note is its name.
            IF was ->> 'storage_backend' = 's3' THEN
                INSERT INTO track_discards AS d (track_id, backend, storage_key, storage_bucket, reason)
                SELECT OLD.id, backend, name, bucket, 'replaced'
                FROM (VALUES ('local', old_path, NULL), ('s3', was ->> 'storage_key', was ->> 'storage_bucket')) AS bytes (backend, name, bucket)
                WHERE name <> '' AND octet_length(name) < 2600 ORDER BY backend, name
                ON CONFLICT (backend, storage_key) DO UPDATE
                SET track_id = excluded.track_id, storage_bucket = excluded.storage_bucket, reason = excluded.reason, discarded_at = excluded.discarded_at,
                    removed_at = CASE WHEN d.gone_at IS NULL THEN d.removed_at END, gone_at = NULL;
            END IF;
        ELSE
            keeps := keeps || jsonb_build_object('file_path', was -> 'file_path');
        END IF;
        NEW := jsonb_populate_record(NEW, keeps);
    END IF;
    IF is_new AND new_path <> old_path THEN
        INSERT INTO track_former_paths (track_id, file_path) VALUES (OLD.id, old_path) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END
$$;

-- A row that is deleted outright leaves notes for the sweep, as one that is marked as deleted
-- does: the object and the file that it named, and its folders, for whatever else is in them.
-- Each has its grace.
CREATE OR REPLACE FUNCTION trackstore_note_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO track_discards AS d (track_id, backend, storage_key, storage_bucket, reason)
    SELECT DISTINCT ON (backend, name) id, backend, name, bucket, 'deleted' FROM (
        SELECT id, 's3' AS backend, coalesce(storage_key::text, '') AS name, storage_bucket::text AS bucket FROM gone
        UNION ALL SELECT id, 'local', coalesce(file_path::text, ''), NULL FROM gone
        UNION ALL SELECT id, 's3', 'uploads/' || id || '/', storage_bucket::text FROM gone
        UNION ALL SELECT id, 's3', 'tracks/' || id || '/', storage_bucket::text FROM gone
        UNION ALL SELECT id, 'local', 'uploads/' || id || '/', NULL FROM gone
        UNION ALL SELECT id, 'local', 'restored/' || id || '/', NULL FROM gone
    ) AS bytes
    -- A name that no index takes is left to an audit: a platform's DELETE never fails for it.
    WHERE name <> '' AND octet_length(name) < 2600 ORDER BY backend, name
    ON CONFLICT (backend, storage_key) DO UPDATE
    SET track_id = excluded.track_id, storage_bucket = excluded.storage_bucket, reason = excluded.reason,
        discarded_at = excluded.discarded_at,
        removed_at = CASE WHEN d.gone_at IS NULL THEN d.removed_at END, gone_at = NULL;
    DELETE FROM track_former_paths WHERE track_id IN (SELECT id FROM gone);
    RETURN NULL;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION trackstore_keep_storage() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION trackstore_note_deleted() SET search_path = %I, pg_temp', current_schema());
END
$$;

-- Named so that it comes after nearly all of a platform's own triggers, which fire in the
-- order of their names.
DROP TRIGGER IF EXISTS trackstore_keep_storage ON tracks;
CREATE TRIGGER trackstore_keep_storage BEFORE UPDATE ON tracks
    FOR EACH ROW EXECUTE FUNCTION trackstore_keep_storage();
DROP TRIGGER IF EXISTS trackstore_note_deleted ON tracks;
CREATE TRIGGER trackstore_note_deleted AFTER DELETE ON tracks
    REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION trackstore_note_deleted();
COMMIT;
