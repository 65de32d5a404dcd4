package schema_test

import (
	"errors"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
)

const oneTrack = `INSERT INTO tracks (id, creator_id, title, file_path) VALUES ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'x', 'a.wav')`

// Every CHECK refuses what it is there for; the constraint's name says so.
func TestEveryCheckRefuses(t *testing.T) {
	t.Parallel()
	d := newDatabase(t)
	d.up()
	const (
		track     = `UPDATE tracks SET `
		upload    = `UPDATE track_uploads SET `
		discard   = `UPDATE track_discards SET `
		migration = `UPDATE track_migrations SET `
		event     = `UPDATE track_events SET `
	)
	statements := map[string][]string{
		"tracks_status_check":          {track + "status = 'playing'"},
		"tracks_file_size_check":       {track + "file_size = -1"},
		"tracks_storage_backend_check": {track + "storage_backend = 'minio'", track + "storage_backend = 'S3'"},
		"tracks_storage_key_check":     {track + "storage_backend = 's3'", track + "storage_backend = 's3', storage_key = ''"},
		"tracks_file_version_check":    {track + "file_version = 0"},

		"tracks_storage_bucket_check": {track + "storage_bucket = ''"},

		"track_uploads_state_check":         {upload + "state = 'done', finished_at = now()"},
		"track_uploads_finished_check":      {upload + "state = 'stored'", upload + "finished_at = now()"},
		"track_uploads_reason_check":        {upload + "reason = 'not_audio'", upload + "state = 'failed', finished_at = now()"},
		"track_uploads_reason_values_check": {upload + "state = 'failed', finished_at = now(), reason = 'ugly'"},
		"track_uploads_detail_check":        {upload + "detail = 'the bytes are text'"},
		"track_uploads_sent_checksum_check": {upload + "sent_checksum_value = 'x'"},
		"track_uploads_method_check":        {upload + "method = 'ftp'"},
		"track_uploads_part_size_check":     {upload + "part_size = 5", upload + "method = 'multipart'"},
		"track_uploads_backend_check":       {upload + "backend = 'tape'"},
		"track_uploads_size_check":          {upload + "size = 0", upload + "size = 11", upload + "max_size = 0, size = NULL"},
		"track_uploads_checksum_check":      {upload + "checksum_value = 'x'"},
		"track_uploads_attempts_check":      {upload + "attempts = -1"},
		"track_uploads_read_check":          {upload + "read_offset = 1", upload + "read_state = 'x'", upload + "read_offset = -1, read_state = 'x'"},
		"track_uploads_idempotency_check":   {upload + "idempotency_key = 'x'"},

		"track_discards_backend_check": {discard + "backend = 'tape'"},
		"track_discards_reason_check":  {discard + "reason = 'boredom'"},
		"track_discards_removed_check": {discard + "gone_at = now()"},

		"track_discards_storage_bucket_check": {discard + "storage_bucket = ''", discard + "backend = 'local', storage_bucket = 'b'"},

		"track_places_kind_check": {"INSERT INTO track_places (id, kind, name) VALUES (gen_random_uuid(), 'shelf', 'x')"},
		"track_places_name_check": {"INSERT INTO track_places (id, kind, name) VALUES (gen_random_uuid(), 'root', '')"},

		"track_migrations_direction_check":      {migration + "direction = 'up'"},
		"track_migrations_state_check":          {migration + "state = 'tired', lease_token = NULL, lease_expires_at = NULL"},
		"track_migrations_lease_check":          {migration + "lease_token = NULL", migration + "lease_expires_at = NULL", migration + "state = 'failed'"},
		"track_migrations_migrated_check":       {migration + "state = 'migrated', lease_token = NULL, lease_expires_at = NULL"},
		"track_migrations_attempts_check":       {migration + "attempts = -1"},
		"track_migrations_stored_version_check": {migration + "stored_version = 0"},
		"track_migrations_locked_check":         {migration + "locked_since = now()", migration + "locked_at = now()"},
		"track_migrations_crc64nvme_check":      {migration + "crc64nvme = 'ABCDEF0123456789'", migration + "crc64nvme = '1'"},

		"track_migration_direction_only_row_check": {"INSERT INTO track_migration_direction VALUES (false, 'to_s3')"},
		"track_migration_direction_check":          {"UPDATE track_migration_direction SET direction = 'up'"},

		"track_migration_ranges_direction_check": {"UPDATE track_migration_ranges SET direction = 'up'"},
		"track_migration_ranges_number_check":    {"UPDATE track_migration_ranges SET number = 0"},
		"track_migration_ranges_reached_check":   {"UPDATE track_migration_ranges SET reached_id = '00000000-0000-0000-0000-000000000000'"},

		"track_events_type_check":          {event + "type = 'born'"},
		"track_events_bus_state_check":     {event + "bus_state = 'lost'"},
		"track_events_webhook_state_check": {event + "webhook_state = 'lost'"},
		"track_events_attempts_check":      {event + "bus_attempts = -1", event + "webhook_attempts = -1"},

		"trackstore_adoption_only_row_check": {"INSERT INTO trackstore_adoption VALUES (false)"},

		"companion_sessions_token_hash_check": {"INSERT INTO companion_sessions VALUES ('x', gen_random_uuid(), now(), now() + interval '1 hour')"},
		"companion_sessions_expires_check":    {"INSERT INTO companion_sessions VALUES (sha256('x'), gen_random_uuid(), now(), now())"},
	}
	d.exec(oneTrack)
	d.exec(`INSERT INTO track_uploads (id, track_id, user_id, method, backend, storage_key, size, max_size, format, content_type, expires_at)
		VALUES (gen_random_uuid(), gen_random_uuid(), gen_random_uuid(), 'put', 's3', 'k', 10, 10, 'wav', 'audio/wav', now())`)
	d.exec(`INSERT INTO track_discards (track_id, backend, storage_key, reason) VALUES (gen_random_uuid(), 's3', 'k', 'replaced')`)
	d.exec(`INSERT INTO track_migrations (track_id, direction, file_version, state, lease_token, lease_expires_at)
		VALUES (gen_random_uuid(), 'to_s3', 1, 'leased', gen_random_uuid(), now())`)

	d.exec(`INSERT INTO track_migration_ranges SELECT 'to_s3', 1, id, id FROM gen_random_uuid() AS id`)
	d.exec(`INSERT INTO track_events (track_id, type, data) VALUES (gen_random_uuid(), 'ready', '{}')`)

	rows, err := d.Query(t.Context(), "SELECT conname FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		if statements[name] == nil {
			t.Errorf("nothing is tried against %s", name)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for name, tries := range statements {
		for _, sql := range tries {
			_, err := d.Exec(t.Context(), "BEGIN; SET LOCAL trackstore.writer = 'on'; "+sql+"; COMMIT")
			var refusal *pgconn.PgError
			if !errors.As(err, &refusal) || refusal.ConstraintName != name {
				t.Errorf("%s, by %s: %v", name, sql, err)
			}
		}
	}
}
