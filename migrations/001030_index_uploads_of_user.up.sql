-- A user's uploads, newest first: for listing them page by page.
CREATE INDEX CONCURRENTLY IF NOT EXISTS track_uploads_user_idx ON track_uploads (user_id, seq);
