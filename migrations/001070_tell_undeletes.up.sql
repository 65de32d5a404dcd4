-- Who was told of a deletion is told when the track comes back: it is ready once more. Functions that name each other
-- are replaced in one transaction: no statement meets one without the other.
BEGIN;
SET LOCAL lock_timeout = '2s';
-- As 001066 says, and of any event.
CREATE OR REPLACE FUNCTION trackstore_tell(what text, says jsonb) RETURNS void LANGUAGE sql AS $$
    INSERT INTO track_events (track_id, type, data)
    VALUES ((says ->> 'id')::uuid, what, jsonb_build_object(
        'track_id', says -> 'id', 'owner_id', says -> 'creator_id', 'title', says -> 'title', 'status', says -> 'status',
        'format', says -> 'format', 'content_type', says -> 'content_type', 'size', says -> 'file_size',
        'created_at', to_char(coalesce(says ->> 'created_at', says ->> 'updated_at', 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'updated_at', to_char(coalesce(says ->> 'updated_at', says ->> 'created_at', 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'storage_backend', says -> 'storage_backend', 'storage_bucket', says -> 'storage_bucket', 'storage_key', says -> 'storage_key',
        'storage_version_id', says -> 'storage_version_id'));
$$;

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
            AND (NEW.storage_backend IS NOT DISTINCT FROM OLD.storage_backend
                AND NEW.storage_key IS NOT DISTINCT FROM OLD.storage_key
                AND NEW.storage_version_id IS NOT DISTINCT FROM OLD.storage_version_id
                AND NEW.storage_bucket IS NOT DISTINCT FROM OLD.storage_bucket
                AND NEW.file_version IS NOT DISTINCT FROM OLD.file_version
                AND NEW.upload_seq IS NOT DISTINCT FROM OLD.upload_seq
                AND (NEW.deleted_at IS NULL) = (OLD.deleted_at IS NULL)
                OR current_setting('trackstore.writer', true) = 'on') THEN
            RETURN NEW; -- as nearly every update, and every flip
        END IF;
    EXCEPTION WHEN datatype_mismatch THEN
        NULL;
    END;
    was := to_jsonb(OLD);
    says := to_jsonb(NEW);
    old_path := coalesce(was ->> 'file_path', '');
    new_path := coalesce(says ->> 'file_path', '');

    -- A statement of trackstore's own says so, for its transaction, and tells for itself.
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
        IF was ->> 'deleted_at' IS NULL AND says ->> 'deleted_at' IS NOT NULL THEN
            PERFORM trackstore_tell('deleted', to_jsonb(NEW));
        ELSIF was ->> 'deleted_at' IS NOT NULL AND says ->> 'deleted_at' IS NULL AND says ->> 'status' = 'ready' THEN
            PERFORM trackstore_tell('ready', to_jsonb(NEW));
        END IF;
    END IF;
    IF is_new AND new_path <> old_path THEN
        INSERT INTO track_former_paths (track_id, file_path) VALUES (OLD.id, old_path) ON CONFLICT DO NOTHING;
    END IF;
    RETURN NEW;
END
$$;

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
    PERFORM trackstore_tell('deleted', to_jsonb(gone)) FROM gone WHERE deleted_at IS NULL; -- else it was told of when it was marked
    RETURN NULL;
END
$$;

DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION trackstore_keep_storage() SET search_path = %I, pg_temp', current_schema());
    EXECUTE format('ALTER FUNCTION trackstore_note_deleted() SET search_path = %I, pg_temp', current_schema());
END
$$;
DROP FUNCTION IF EXISTS trackstore_tell_deletion(jsonb);
COMMIT;
