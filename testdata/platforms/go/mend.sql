-- The backend takes 'ready' for 'completed' from now on.
ALTER TABLE tracks DROP CONSTRAINT chk_tracks_status,
    ADD CONSTRAINT chk_tracks_status CHECK (status IN ('uploading', 'processing', 'completed', 'failed', 'ready'));
