package pgstore_test

import (
	"math"
	"testing"

	"github.com/jackc/pgx/v5"

	"trackstore/internal/testenv"
)

// Time counts once where moves overlap, not at all between runs, and in less than whole seconds.
func TestRateOfEarlierMoves(t *testing.T) {
	t.Parallel()
	url := testenv.Postgres(t)
	store := openStore(t, url)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(t.Context()) })

	expect := func(wantTracks, wantBytes float64) {
		t.Helper()
		tracks, bytes, err := store.Rate(t.Context())
		if err != nil || math.Abs(tracks-wantTracks) > 0.01 || math.Abs(bytes-wantBytes) > 0.01 {
			t.Errorf("%v tracks and %v bytes a second, %v; want %v and %v", tracks, bytes, err, wantTracks, wantBytes)
		}
	}
	// moved records a move; its times are in seconds before now.
	moved := func(size int64, started, finished any) {
		t.Helper()
		_, err := conn.Exec(t.Context(), `
			WITH track AS (
				INSERT INTO tracks (id, creator_id, title, file_path, status, storage_backend, storage_key)
				VALUES (gen_random_uuid(), gen_random_uuid(), 'x', 'x.wav', 'ready', 's3', 'tracks/x') RETURNING id
			)
			INSERT INTO track_migrations
				(track_id, direction, file_version, state, storage_key, size, crc64nvme, started_at, finished_at)
			SELECT id, 'to_s3', 1, 'migrated', 'tracks/x', $1, '0000000000000000',
				date '2026-01-02' - make_interval(secs => $2), date '2026-01-02' - make_interval(secs => $3) FROM track`,
			size, started, finished)
		if err != nil {
			t.Fatal(err)
		}
	}

	expect(0, 0)
	moved(1000, nil, 900) // nobody knows how long it took
	expect(0, 0)
	moved(1000, 10.00, 9.97)
	moved(1000, 9.98, 9.95)
	expect(3/0.05, 3000/0.05)
	moved(1000, 500, 499.95)
	moved(1000, 100, 800) // given back
	expect(5/0.1, 5000/0.1)
}
