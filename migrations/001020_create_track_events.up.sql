-- What became of tracks, for whoever has to act on it. A row is written by the statement that
-- makes the change, so that there is never one without the other, and taken out by deliver-events:
-- to a bus and to a webhook, each with a state of its own, so that one that fails does not hold
-- up the other. Where neither is configured the rows stay, for a backend that reads them.
CREATE TABLE IF NOT EXISTS track_events (
    -- The order of the events of one track: whoever writes one holds the track's row.
    seq              bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- The same at every delivery.
    id               uuid        NOT NULL DEFAULT gen_random_uuid(),
    track_id         uuid        NOT NULL,
    type             varchar(16) NOT NULL,
    data             jsonb       NOT NULL, -- the track as the API has it, and where it lies
    created_at       timestamptz NOT NULL DEFAULT now(),
    bus_state        varchar(16) NOT NULL DEFAULT 'waiting',
    bus_attempts     integer     NOT NULL DEFAULT 0,
    bus_since        timestamptz,                        -- of the first attempt
    bus_next_at      timestamptz NOT NULL DEFAULT now(), -- of the next one; while one is under way, when it counts as failed
    bus_error        text,
    webhook_state    varchar(16) NOT NULL DEFAULT 'waiting',
    webhook_attempts integer     NOT NULL DEFAULT 0,
    webhook_since    timestamptz,
    webhook_next_at  timestamptz NOT NULL DEFAULT now(),
    webhook_error    text,
    CONSTRAINT track_events_type_check CHECK (type IN ('ready', 'replaced', 'failed', 'deleted', 'moved')),
    -- none: there was no such receiver when the event was taken out.
    CONSTRAINT track_events_bus_state_check CHECK (bus_state IN ('waiting', 'delivered', 'dead', 'none')),
    CONSTRAINT track_events_webhook_state_check CHECK (webhook_state IN ('waiting', 'delivered', 'dead', 'none')),
    CONSTRAINT track_events_attempts_check CHECK (bus_attempts >= 0 AND webhook_attempts >= 0)
);
-- What is to be taken out next, for each receiver; and whether an earlier event of a track still waits.
CREATE INDEX IF NOT EXISTS track_events_bus_idx ON track_events (bus_next_at) WHERE bus_state = 'waiting';
CREATE INDEX IF NOT EXISTS track_events_webhook_idx ON track_events (webhook_next_at) WHERE webhook_state = 'waiting';
CREATE INDEX IF NOT EXISTS track_events_track_idx ON track_events (track_id, seq);
-- What may be removed: what is at its end for every receiver, and what nobody took for long.
CREATE INDEX IF NOT EXISTS track_events_finished_idx ON track_events (created_at)
    WHERE bus_state IN ('delivered', 'none') AND webhook_state IN ('delivered', 'none');
CREATE INDEX IF NOT EXISTS track_events_created_idx ON track_events (created_at);

-- For a backend that listens on the same database. The payload names the event; its row has the rest.
CREATE OR REPLACE FUNCTION track_events_notify() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('trackstore_events', json_build_object('id', NEW.id, 'type', 'trackstore.track.' || NEW.type, 'track_id', NEW.track_id)::text);
    RETURN NULL;
END
$$;
DROP TRIGGER IF EXISTS track_events_notify ON track_events;
CREATE TRIGGER track_events_notify AFTER INSERT ON track_events FOR EACH ROW EXECUTE FUNCTION track_events_notify();
