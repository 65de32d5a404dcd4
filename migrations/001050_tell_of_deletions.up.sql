-- A track that the platform's own program deletes, by deleted_at or by DELETE, is told of as one
-- that is deleted through the API: by the statement that deletes it, so never without it.
BEGIN;
SET LOCAL lock_timeout = '2s';

-- As parts/event_data.sql of package pgstore has it, but of a row in JSON: a function that names
-- the platform's columns goes on with their old types after a change.
CREATE OR REPLACE FUNCTION trackstore_tell_deleted() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    says jsonb;
BEGIN
    IF TG_OP = 'UPDATE' THEN
        -- Statements of trackstore's own tell for themselves.
        IF current_setting('trackstore.writer', true) = 'on' THEN
            RETURN NEW;
        END IF;
        BEGIN
            IF OLD.deleted_at IS NOT NULL OR NEW.deleted_at IS NULL THEN
                RETURN NEW; -- as nearly every update
            END IF;
        EXCEPTION WHEN datatype_mismatch THEN
            IF to_jsonb(OLD) ->> 'deleted_at' IS NOT NULL OR to_jsonb(NEW) ->> 'deleted_at' IS NULL THEN
                RETURN NEW;
            END IF;
        END;
        says := to_jsonb(NEW);
    ELSE
        says := to_jsonb(OLD);
        IF says ->> 'deleted_at' IS NOT NULL THEN
            RETURN NULL; -- told of when it was marked
        END IF;
    END IF;
    INSERT INTO track_events (track_id, type, data)
    VALUES (OLD.id, 'deleted', jsonb_build_object(
        'track_id', says -> 'id', 'owner_id', says -> 'creator_id', 'title', says -> 'title', 'status', says -> 'status',
        'format', says -> 'format', 'content_type', says -> 'content_type', 'size', says -> 'file_size',
        'created_at', to_char(coalesce(says ->> 'created_at', says ->> 'updated_at', 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'updated_at', to_char(coalesce(says ->> 'updated_at', says ->> 'created_at', 'epoch')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
        'storage_backend', says -> 'storage_backend', 'storage_bucket', says -> 'storage_bucket', 'storage_key', says -> 'storage_key',
        'storage_version_id', says -> 'storage_version_id'));
    RETURN NEW;
END
$$;
DO $$
BEGIN
    EXECUTE format('ALTER FUNCTION trackstore_tell_deleted() SET search_path = %I, pg_temp', current_schema());
END
$$;

-- Fires after trackstore_keep_storage, and has no condition either, which would keep the column
-- from changing its type. Before the update and not after it: Postgres would remember every row
-- of a statement until its end.
DROP TRIGGER IF EXISTS trackstore_tell_deleted ON tracks;
CREATE TRIGGER trackstore_tell_deleted BEFORE UPDATE ON tracks
    FOR EACH ROW EXECUTE FUNCTION trackstore_tell_deleted();
DROP TRIGGER IF EXISTS trackstore_tell_removed ON tracks;
CREATE TRIGGER trackstore_tell_removed AFTER DELETE ON tracks
    FOR EACH ROW EXECUTE FUNCTION trackstore_tell_deleted();
COMMIT;
